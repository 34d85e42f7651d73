// Every RPC that is declared to be told of leaves its event, in the outbox with the change and then in the log, once; no
// other does; and what fails leaves that it failed.
import type { DescMethod, DescService } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { Client } from '@connectrpc/connect'
import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ByteStream } from '../../gen/google/bytestream/bytestream_pb.ts'
import { BlobService } from '../../gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { DownloadAudit } from '../../gen/modelkeep/common/v1/access_pb.ts'
import { MaintenanceService } from '../../gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { ManifestService } from '../../gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '../../gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { Outcome, type Event, type LogEntry } from '../../gen/modelkeep/audit/v1/event_pb.ts'
import { LogService } from '../../gen/modelkeep/audit/v1/log_service_pb.ts'
import { PrivacyService } from '../../gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { AliasService } from '../../gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { Verdict } from '../../gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { EvaluationService } from '../../gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { GateService } from '../../gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { IdentityService } from '../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { Role } from '../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { ModelService } from '../../gen/modelkeep/metadata/v1/model_service_pb.ts'
import { NamespaceService } from '../../gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { PromotionService } from '../../gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { VersionService } from '../../gen/modelkeep/metadata/v1/version_service_pb.ts'
import { readEvent } from '../../clients/verifier/export/event.ts'
import { replayGovernance } from '../../clients/verifier/replay/replay.ts'
import { EVENT_TYPES, type EventType } from '../../services/lib/events/event-types.ts'
import { accessRuleOf, methodName } from '../../services/lib/access/method-rules.ts'
import { startAllServices, type AllServices } from '../support/all-services.ts'
import { METHODS, ruleOf } from '../support/every-service.ts'
import { refusalOf } from '../support/refusal.ts'
import { fillRequest } from '../support/requests.ts'

let all: AllServices
beforeAll(async () => {
  all = await startAllServices()
})
afterAll(() => all.close())

const as = <S extends DescService>(service: S): Client<S> => all.client(service, 'mk_admin')
/** The call's request id names its RPC. */
const by = (name: string) => ({ headers: { 'x-request-id': name } })
const model = { ref: { case: 'name' as const, value: { model: 'audited' } } }
const numbered = (number: number) => ({ ref: { case: 'name' as const, value: { model: 'audited', number } } })
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()
const digestOf = (bytes: Uint8Array) => `sha256:${sha256(bytes).toString('hex')}`

async function handleNamespaces(): Promise<void> {
  const namespaces = as(NamespaceService)
  await namespaces.createNamespace({ name: 'room' }, by('CreateNamespace'))
  await namespaces.updateNamespace({ name: 'room', description: 'for tests' }, by('UpdateNamespace'))
  await namespaces.deleteNamespace({ name: 'room', reason: 'done' }, by('DeleteNamespace'))
}

async function* writeMessages(data: Uint8Array) {
  const resourceName = `uploads/any/blobs/${sha256(data).toString('hex')}/${data.length}`
  yield { resourceName, data, finishWrite: true }
}

async function handleBytes(): Promise<string[]> {
  const [first, second] = [randomBytes(100), randomBytes(100)]
  async function* blob() {
    yield { message: { case: 'header' as const, value: { digest: digestOf(first), sizeBytes: 100n } } }
    yield { message: { case: 'chunk' as const, value: first } }
  }
  await as(BlobService).uploadBlob(blob(), by('UploadBlob'))
  await as(ByteStream).write(writeMessages(randomBytes(100)), by('Write'))
  const { result } = await as(UploadService).startUpload({ digest: digestOf(second), sizeBytes: 100n })
  const uploadId = result.case === 'upload' ? result.value.id : ''
  async function* part() {
    yield { message: { case: 'header' as const, value: { uploadId, number: 1, sha256: sha256(second) } } }
    yield { message: { case: 'chunk' as const, value: second } }
  }
  await as(UploadService).writePart(part())
  await as(UploadService).completeUpload({ uploadId }, by('CompleteUpload'))
  const digests: string[] = []
  for (const bytes of [first, second]) {
    const files = [{ path: 'model.bin', digest: digestOf(bytes), sizeBytes: 100n }]
    const { manifest } = await as(ManifestService).createManifest({ files }, by('CreateManifest'))
    digests.push(manifest!.digest)
  }
  return digests
}

async function handleReads(): Promise<void> {
  const bytes = randomBytes(100)
  const digest = digestOf(bytes)
  async function* blob() {
    yield { message: { case: 'header' as const, value: { digest, sizeBytes: 100n } } }
    yield { message: { case: 'chunk' as const, value: bytes } }
  }
  await as(BlobService).uploadBlob(blob(), by('UploadBlob'))
  const files = [{ path: 'read.bin', digest, sizeBytes: 100n }]
  const { manifest } = await as(ManifestService).createManifest({ files }, by('CreateManifest'))
  await as(ManifestService).getManifest({ digest: manifest!.digest }, by('GetManifest'))
  for await (const _ of as(BlobService).downloadBlob({ digest }, by('DownloadBlob')));
  const resourceName = `blobs/${sha256(bytes).toString('hex')}/100`
  for await (const _ of as(ByteStream).read({ resourceName, readOffset: 1n }, by('Read')));
}

async function handleGarbage(): Promise<void> {
  for await (const _ of as(MaintenanceService).collectGarbage({}, by('CollectGarbage')));
}

async function handleVersions(digests: string[]): Promise<void> {
  const versions = as(VersionService)
  const aliases = as(AliasService)
  for (const [index, manifestDigest] of digests.entries()) {
    await versions.createVersion({ model, manifestDigest }, by('CreateVersion'))
    const target = { case: 'number' as const, value: index + 1 }
    await aliases.setAliases({ model, targets: [{ name: 'live', target, expectedNumber: index }] }, by('SetAliases'))
  }
  await aliases.rollbackAlias({ model, name: 'live', expectedNumber: 2 }, by('RollbackAlias'))
  const updateMask = { paths: ['description'] }
  await versions.updateVersion({ version: numbered(2), updateMask, description: 'better' }, by('UpdateVersion'))
  const facts = { suite: 'smoke', verdict: Verdict.PASSED }
  await as(EvaluationService).createEvaluation({ version: numbered(2), facts }, by('CreateEvaluation'))
  await versions.deleteVersion({ version: numbered(2), reason: 'not needed' }, by('DeleteVersion'))
  const remove = { name: 'live', target: { case: 'remove' as const, value: true }, expectedNumber: 1 }
  await aliases.setAliases({ model, targets: [remove] }, by('SetAliases'))
}

async function handleModels(): Promise<void> {
  const models = as(ModelService)
  await models.createModel({ name: 'audited' }, by('CreateModel'))
  const digests = await handleBytes()
  await handleVersions(digests)
  await handleGovernance(digests[0]!)
  await models.updateModel({ model, updateMask: { paths: ['owner'] }, owner: 'team' }, by('UpdateModel'))
  await models.renameModel({ model, newName: 'renamed' }, by('RenameModel'))
  const renamed = { model: { ref: { case: 'name' as const, value: { model: 'renamed' } } } }
  await models.archiveModel(renamed, by('ArchiveModel'))
  await models.unarchiveModel(renamed, by('UnarchiveModel'))
  await models.archiveModel(renamed, by('ArchiveModel'))
  await models.deleteModel(renamed, by('DeleteModel'))
}

/** Somebody else's promotions: nobody decides on their own. */
async function handleGovernance(manifestDigest: string): Promise<void> {
  const [gates, promotions, bob] = [
    as(GateService),
    as(PromotionService),
    all.client(PromotionService, 'mk_contributor'),
  ]
  const guarded = { ref: { case: 'name' as const, value: { model: 'guarded' } } }
  const version = { ref: { case: 'name' as const, value: { model: 'guarded', number: 1 } } }
  const rules = { aliasPattern: 'live', approvalsRequired: 1 }
  const contributors = all.client(VersionService, 'mk_contributor')
  await as(ModelService).createModel({ name: 'guarded' }, by('CreateModel'))
  await contributors.createVersion({ model: guarded, manifestDigest }, by('CreateVersion'))
  await gates.createGate({ name: 'gate', rules }, by('CreateGate'))
  await gates.updateGate({ name: 'gate', rules }, by('UpdateGate'))
  const reason = 'better'
  const ask = async (): Promise<string> =>
    (await bob.requestPromotion({ version, alias: 'live', reason }, by('RequestPromotion'))).promotion!.id
  await bob.withdrawPromotion({ id: await ask() }, by('WithdrawPromotion'))
  await promotions.rejectPromotion({ id: await ask(), reason }, by('RejectPromotion'))
  await promotions.approvePromotion({ id: await ask(), reason }, by('ApprovePromotion'))
  await gates.deleteGate({ name: 'gate' }, by('DeleteGate'))
}

async function handleIdentity(): Promise<void> {
  const identity = as(IdentityService)
  const expireTime = timestampFromMs(Date.now() + 3_600_000)
  const { token } = await identity.createToken({ principal: 'temp', expireTime }, by('CreateToken'))
  await identity.grantRole({ principal: 'temp', role: Role.READER }, by('GrantRole'))
  await identity.revokeRole({ principal: 'temp' }, by('RevokeRole'))
  await identity.revokeToken({ id: token!.id }, by('RevokeToken'))
}

async function handlePrivacy(): Promise<void> {
  const privacy = as(PrivacyService)
  await expect.poll(readLog).toContainEqual(expect.objectContaining({ openings: [expect.anything()] }))
  const entry = (await readLog()).find(({ openings }) => openings.length > 0)!
  const subject = { case: 'resourceId' as const, value: 'r' }
  const { hold } = await privacy.placeHold({ subject, reason: 'a case' }, by('PlaceHold'))
  await privacy.releaseHold({ id: hold!.id, reason: 'over' }, by('ReleaseHold'))
  await privacy.redactEvent({ eventId: entry.event!.id, reason: 'asked' }, by('RedactEvent'))
}

/** What each RPC that is told of leaves, all of it. */
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
  // Its config is a blob of its own.
  CreateManifest: ['blob.committed.v1', 'manifest.created.v1'],
  CollectGarbage: ['garbage.collected.v1'],
  GetManifest: ['manifest.read.v1'],
  DownloadBlob: ['blob.read.v1'],
  Read: ['blob.read.v1'],
  RedactEvent: ['event.redacted.v1'],
  PlaceHold: ['hold.placed.v1'],
  ReleaseHold: ['hold.released.v1'],
}
/** Needs an S3 store: it is told of in artifact/reads.test.ts. */
const ELSEWHERE = ['GetDownloadPlan']

const isToldOf = (method: DescMethod) =>
  ruleOf(method).audited || accessRuleOf(method).download !== DownloadAudit.UNSPECIFIED
const TOLD = METHODS.filter(isToldOf)

test('every RPC that is declared to be told of is in the catalogue, and no other', () => {
  expect(TOLD.map(({ name }) => name).toSorted()).toEqual([...Object.keys(CATALOGUE), ...ELSEWHERE].toSorted())
})

function typesByRpc(entries: LogEntry[]): Record<string, string[]> {
  const types: Record<string, Set<string>> = {}
  for (const { event } of entries) (types[event!.requestId] ??= new Set()).add(event!.type)
  return Object.fromEntries(Object.entries(types).map(([name, found]) => [name, [...found].toSorted()]))
}

async function readLog(): Promise<LogEntry[]> {
  return (await as(LogService).listEntries({ pageSize: 1000, orderBy: 'index' })).entries
}

/** The keys of an event's details are those that its type has. */
function requireDetails(event: Event): void {
  const keys: readonly string[] = EVENT_TYPES[event.type as EventType].details
  const given = Object.keys(event.details ?? {})
  expect([event.type, given.filter((key) => !keys.includes(key) && !keys.includes(`${key}?`))]).toEqual([
    event.type,
    [],
  ])
  expect([event.type, keys.filter((key) => !key.endsWith('?') && !given.includes(key))]).toEqual([event.type, []])
}

test('every RPC of the catalogue is in the log, with who and what, once per change', async () => {
  await handleGarbage()
  await handleNamespaces()
  await handleModels()
  await handleReads()
  await handleIdentity()
  await handlePrivacy()
  const names = Object.keys(CATALOGUE)
  await expect
    .poll(async () => {
      const told = new Set((await readLog()).map(({ event }) => event!.requestId))
      return names.filter((name) => !told.has(name))
    })
    .toEqual([])
  const entries = await readLog()
  for (const { event } of entries.filter(({ event: told }) => names.includes(told!.requestId))) {
    expect(event).toMatchObject({
      actor: { principal: expect.stringMatching(/^(admin|contributor)$/) as string, method: 'token' },
    })
    expect(event!.resource!.id).not.toBe('')
    expect(event!.resource!.name).not.toBe('')
    const { producer } = EVENT_TYPES[event!.type as EventType]
    expect([event!.type, event!.producer]).toEqual([event!.type, producer])
    requireDetails(event!)
  }
  // What the services do by themselves belongs to no request.
  const { '': _byThemselves, ...byRpc } = typesByRpc(entries)
  expect(byRpc).toEqual(CATALOGUE)
  const governance = replayGovernance()
  for (const { leaf, index } of entries) governance.apply(Number(index), readEvent(Buffer.from(leaf)))
  // The tokens of these callers were never made.
  expect(governance.broken.filter((wrong) => !wrong.endsWith(' was not given'))).toEqual([])
  expect(governance.replayed.events).toBeGreaterThan(20)
  expect(new Set(entries.map(({ event }) => event!.id)).size).toBe(entries.length)
  expect(entries.map(({ index }) => Number(index))).toEqual(entries.map((_, index) => index))
})

type AnyClient = Record<string, (input: unknown, options: object) => unknown>

/** A call of any kind with input that is good for nothing. */
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

test('a change that fails leaves that alone, once for what repeats it; and who was refused leaves that', async () => {
  const failures: Record<string, { reason: string; code: string }> = {}
  for (const method of TOLD) {
    const failed = await refusalOf(attempt(method, 'mk_admin', `failed-${method.name}`))
    expect([method.name, failed.code]).not.toEqual([method.name, 'PermissionDenied'])
    if (ruleOf(method).audited) failures[method.name] = { reason: failed.reason, code: failed.code }
    expect(await refusalOf(attempt(method, 'mk_admin', `failed-again-${method.name}`))).toEqual(failed)
    const denied = await refusalOf(attempt(method, 'mk_nobody', `denied-${method.name}`))
    expect([method.name, denied.code]).toEqual([method.name, 'PermissionDenied'])
  }
  const isOf = (kind: string) => (entry: LogEntry) => entry.event!.requestId.startsWith(`${kind}-`)
  const expected = TOLD.length + Object.keys(failures).length
  const isTold = (entry: LogEntry) => isOf('denied')(entry) || isOf('failed')(entry)
  await expect.poll(async () => (await readLog()).filter(isTold).length).toBe(expected)
  const entries = await readLog()
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
      resource: { type: 'rpc', id: methodName(TOLD.find((method) => method.name === name)!) },
    })
    requireDetails(event)
  }
  for (const { event } of entries.filter(isOf('denied'))) {
    const name = event!.requestId.slice('denied-'.length)
    const { parent } = TOLD.find((method) => method.name === name)!
    expect(event).toMatchObject({
      type: 'access.denied.v1',
      outcome: Outcome.DENIED,
      actor: { principal: 'nobody' },
      resource: { type: 'rpc', id: `${parent.typeName}/${name}` },
    })
    requireDetails(event!)
  }
})
