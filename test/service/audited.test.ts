// Every RPC that is declared as audited records its events once: in the outbox with the change, and then in the log. Other
// RPCs record none. A failed attempt is recorded as a failure.
import type { DescMethod } from '@bufbuild/protobuf'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DownloadAudit } from '../../gen/modelkeep/common/v1/access_pb.ts'
import { Outcome, type Event, type LogEntry } from '../../gen/modelkeep/audit/v1/event_pb.ts'
import { readEvent } from '../../clients/verifier/export/event.ts'
import { replayGovernance } from '../../clients/verifier/replay/replay.ts'
import { EVENT_TYPES, type EventType } from '../../services/lib/events/event-types.ts'
import { accessRuleOf, methodName } from '../../services/lib/access/method-rules.ts'
import {
  by,
  handleGarbage,
  handleIdentity,
  handleModels,
  handleNamespaces,
  handlePrivacy,
  handleReads,
  readLog,
} from '../support/audited-calls.ts'
import { startAllServices, type AllServices } from '../support/all-services.ts'
import { METHODS, ruleOf } from '../support/every-service.ts'
import { refusalOf } from '../support/refusal.ts'
import { fillRequest } from '../support/requests.ts'

let all: AllServices
beforeAll(async () => {
  all = await startAllServices()
})
afterAll(() => all.close())

/** All event types that each audited RPC records. */
const CATALOGUE: Record<string, EventType[]> = {
  CreateNamespace: ['namespace.created.v1'],
  UpdateNamespace: ['namespace.updated.v1'],
  DeleteNamespace: ['namespace.deleted.v1'],
  CreateModel: ['model.created.v1'],
  UpdateModel: ['model.updated.v1'],
  RenameModel: ['model.renamed.v1'],
  ArchiveModel: ['model.archived.v1'],
  UnarchiveModel: ['model.unarchived.v1'],
  DeleteModel: ['model.deleted.v1'],
  CreateVersion: ['version.created.v1'],
  UpdateVersion: ['version.updated.v1'],
  DeleteVersion: ['version.deleted.v1'],
  SetAliases: ['alias.moved.v1', 'alias.removed.v1'],
  RollbackAlias: ['alias.moved.v1'],
  CreateEvaluation: ['evaluation.created.v1'],
  CreateGate: ['gate.created.v1'],
  UpdateGate: ['gate.updated.v1'],
  DeleteGate: ['gate.deleted.v1'],
  RequestPromotion: ['promotion.requested.v1'],
  WithdrawPromotion: ['promotion.withdrawn.v1'],
  RejectPromotion: ['promotion.rejected.v1'],
  ApprovePromotion: ['alias.moved.v1', 'promotion.applied.v1', 'promotion.approved.v1'],
  CreateToken: ['token.created.v1'],
  RevokeToken: ['token.revoked.v1'],
  GrantRole: ['role.granted.v1'],
  RevokeRole: ['role.revoked.v1'],
  UploadBlob: ['blob.committed.v1'],
  CompleteUpload: ['blob.committed.v1'],
  Write: ['blob.committed.v1'],
  // The config of a manifest is a blob.
  CreateManifest: ['blob.committed.v1', 'manifest.created.v1'],
  CollectGarbage: ['garbage.collected.v1'],
  GetManifest: ['manifest.read.v1'],
  DownloadBlob: ['blob.read.v1'],
  Read: ['blob.read.v1'],
  RedactEvent: ['event.redacted.v1'],
  PlaceHold: ['hold.placed.v1'],
  ReleaseHold: ['hold.released.v1'],
}
/** GetDownloadPlan needs an S3 store; artifact/reads.test.ts covers it. */
const ELSEWHERE = ['GetDownloadPlan']

const isAudited = (method: DescMethod) =>
  ruleOf(method).audited || accessRuleOf(method).download !== DownloadAudit.UNSPECIFIED
const AUDITED = METHODS.filter(isAudited)

test('the catalogue lists exactly the RPCs that are declared as audited', () => {
  expect(AUDITED.map(({ name }) => name).toSorted()).toEqual([...Object.keys(CATALOGUE), ...ELSEWHERE].toSorted())
})

function typesByRpc(entries: LogEntry[]): Record<string, string[]> {
  const types: Record<string, Set<string>> = {}
  for (const { event } of entries) (types[event!.requestId] ??= new Set()).add(event!.type)
  return Object.fromEntries(Object.entries(types).map(([name, found]) => [name, [...found].toSorted()]))
}

/** Expects the keys of an event's details to be those that its type declares. */
function requireDetails(event: Event): void {
  const keys: readonly string[] = EVENT_TYPES[event.type as EventType].details
  const given = Object.keys(event.details ?? {})
  expect([event.type, given.filter((key) => !keys.includes(key) && !keys.includes(`${key}?`))]).toEqual([
    event.type,
    [],
  ])
  expect([event.type, keys.filter((key) => !key.endsWith('?') && !given.includes(key))]).toEqual([event.type, []])
}

test('every RPC of the catalogue records its events with actor and resource, once per change', async () => {
  await handleGarbage(all)
  await handleNamespaces(all)
  await handleModels(all)
  await handleReads(all)
  await handleIdentity(all)
  await handlePrivacy(all)
  const names = Object.keys(CATALOGUE)
  await expect
    .poll(async () => {
      const recorded = new Set((await readLog(all)).map(({ event }) => event!.requestId))
      return names.filter((name) => !recorded.has(name))
    })
    .toEqual([])
  const entries = await readLog(all)
  for (const { event } of entries.filter((entry) => names.includes(entry.event!.requestId))) {
    expect(event).toMatchObject({
      actor: { principal: expect.stringMatching(/^(admin|contributor)$/) as string, method: 'token' },
    })
    expect(event!.resource!.id).not.toBe('')
    expect(event!.resource!.name).not.toBe('')
    const { producer } = EVENT_TYPES[event!.type as EventType]
    expect([event!.type, event!.producer]).toEqual([event!.type, producer])
    requireDetails(event!)
  }
  // Events of background jobs have no request id.
  const { '': _ownWork, ...byRpc } = typesByRpc(entries)
  expect(byRpc).toEqual(CATALOGUE)
  const governance = replayGovernance()
  for (const { leaf, index } of entries) governance.apply(Number(index), readEvent(Buffer.from(leaf)))
  // The tokens of the test's callers were not created by an event.
  expect(governance.broken.filter((wrong) => !wrong.includes(' with a token that was not issued to '))).toEqual([])
  expect(governance.replayed.events).toBeGreaterThan(20)
  expect(new Set(entries.map(({ event }) => event!.id)).size).toBe(entries.length)
  expect(entries.map(({ index }) => Number(index))).toEqual(entries.map((_, index) => index))
})

type AnyClient = Record<string, (input: unknown, options: object) => unknown>

/** Calls a method of any kind with invalid input. */
async function attempt(method: DescMethod, token: string, requestId: string): Promise<void> {
  const request = fillRequest(method.input, {
    strings: { namespace: '!', name: '!' },
    string: () => '',
    number: 1,
    bytes: Buffer.from('x'),
  })
  const run = (all.client(method.parent, token) as unknown as AnyClient)[method.localName]!
  async function* once() {
    yield request
  }
  const answer = run(method.methodKind === 'client_streaming' ? once() : request, by(requestId))
  await (method.methodKind === 'server_streaming' ? Array.fromAsync(answer as AsyncIterable<unknown>) : answer)
}

test('a failed attempt is recorded once for all repeats, and a denial is recorded', async () => {
  const failures: Record<string, { reason: string; code: string }> = {}
  for (const method of AUDITED) {
    const failed = await refusalOf(attempt(method, 'mk_admin', `failed-${method.name}`))
    expect([method.name, failed.code]).not.toEqual([method.name, 'PermissionDenied'])
    if (ruleOf(method).audited) failures[method.name] = { reason: failed.reason, code: failed.code }
    expect(await refusalOf(attempt(method, 'mk_admin', `failed-again-${method.name}`))).toEqual(failed)
    const denied = await refusalOf(attempt(method, 'mk_nobody', `denied-${method.name}`))
    expect([method.name, denied.code]).toEqual([method.name, 'PermissionDenied'])
  }
  const isOf = (kind: string) => (entry: LogEntry) => entry.event!.requestId.startsWith(`${kind}-`)
  const expected = AUDITED.length + Object.keys(failures).length
  const isReported = (entry: LogEntry) => isOf('denied')(entry) || isOf('failed')(entry)
  await expect.poll(async () => (await readLog(all)).filter(isReported).length).toBe(expected)
  const entries = await readLog(all)
  const failed = entries.filter(isOf('failed')).map(({ event }) => event!)
  expect(Object.fromEntries(failed.map(({ requestId, details }) => [requestId, details]))).toEqual(
    Object.fromEntries(Object.entries(failures).map(([name, details]) => [`failed-${name}`, details])),
  )
  expect(failed).toHaveLength(Object.keys(failures).length)
  for (const event of failed) {
    const name = event.requestId.slice('failed-'.length)
    expect(event).toMatchObject({
      type: 'attempt.failed.v1',
      outcome: Outcome.DENIED,
      actor: { principal: 'admin', credentialId: expect.stringMatching(/./) as string },
      resource: { type: 'rpc', id: methodName(AUDITED.find((method) => method.name === name)!) },
    })
    requireDetails(event)
  }
  for (const { event } of entries.filter(isOf('denied'))) {
    const name = event!.requestId.slice('denied-'.length)
    const { parent } = AUDITED.find((method) => method.name === name)!
    expect(event).toMatchObject({
      type: 'access.denied.v1',
      outcome: Outcome.DENIED,
      actor: { principal: 'nobody' },
      resource: { type: 'rpc', id: `${parent.typeName}/${name}` },
    })
    requireDetails(event!)
  }
})
