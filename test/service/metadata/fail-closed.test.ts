// A registry that fails closed: it answers changes that are not minor only after the log has assigned them an index.
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt'
import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { accessRuleOf, methodName } from '#lib/access/method-rules.ts'
import { CHANGES, METADATA_METHODS, outcomeOf, prepareChanges, type Change } from '../../support/changes.ts'
import { METHODS, ruleOf } from '../../support/every-service.ts'
import { byName, makeModel, pointTo, startMetadata } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata({ failClosedSeconds: 1 })
beforeEach(() => {
  metadata.peers.auditDown = false
})

const seen = (type: string) => metadata.peers.events.filter((event) => event.type === type)
const move = (model: string, number: number, expectedNumber: number, requestId = '') => ({
  model: byName(model),
  targets: [pointTo('live', number, expectedNumber)],
  requestId,
})

test('answers a change after the log has its event, whichever replica sends it', async () => {
  await makeModel(metadata.admin, 'open', 2)
  for (const [at, clients] of [metadata.admin, metadata.replica].entries()) {
    await clients.aliases.setAliases(move('open', at + 1, at))
    expect(seen('alias.moved.v1').filter(({ resource }) => resource!.name.includes('open')).length).toBe(at + 1)
  }
})

test('fails while the log is unavailable, says that the change is committed, and answers a repeat later', async () => {
  await makeModel(metadata.admin, 'closed', 1)
  metadata.peers.auditDown = true
  const requestId = randomUUID()
  const refused = await refusalOf(metadata.admin.aliases.setAliases(move('closed', 1, 0, requestId)))
  expect(refused).toMatchObject({ code: 'Unavailable', reason: 'AUDIT_UNAVAILABLE', metadata: { seconds: '1' } })
  expect(refused.message).toContain('the change is committed')
  const { aliases } = await metadata.admin.aliases.listAliases({ model: byName('closed') })
  expect(aliases).toMatchObject([{ name: 'live', number: 1 }])
  const again = await refusalOf(metadata.admin.aliases.setAliases(move('closed', 1, 0, requestId)))
  expect(again.reason).toBe('AUDIT_UNAVAILABLE')
  metadata.peers.auditDown = false
  const answer = await metadata.admin.aliases.setAliases(move('closed', 1, 0, requestId))
  expect(answer.aliases).toMatchObject([{ name: 'live', number: 1 }])
  expect(seen('alias.moved.v1').filter(({ resource }) => resource!.name.includes('closed')).length).toBe(1)
})

const run = ({ caller, method, request }: Change): Promise<string> => outcomeOf(caller.call(method, request))

describe('every RPC', () => {
  let changes: Change[]
  let whileDown: string[]
  let repeated: string[]
  beforeAll(async () => {
    changes = await prepareChanges(metadata)
    for (const { request } of changes) request.requestId = randomUUID()
    metadata.peers.auditDown = true
    whileDown = await Promise.all(changes.map(run))
    metadata.peers.auditDown = false
    const waiting = changes.find(({ method }) => !accessRuleOf(method).minor)!
    await vi.waitFor(async () => expect(await run(waiting)).toBe('answered'), 10_000)
    repeated = await Promise.all(changes.map(run))
  })

  test('is declared free of side effects, or audited and tested here', () => {
    for (const method of METADATA_METHODS) {
      const isRead = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS
      expect([method.name, ruleOf(method).audited]).toEqual([method.name, !isRead])
    }
    expect(new Set(changes.map(({ method }) => method.name))).toEqual(new Set(CHANGES))
  })

  test('is minor only where this list says so', () => {
    const minor = METHODS.filter((method) => accessRuleOf(method).minor)
    expect(minor.map(methodName)).toEqual([
      'modelkeep.metadata.v1.EvaluationService/CreateEvaluation',
      'modelkeep.metadata.v1.ModelService/CreateModel',
      'modelkeep.metadata.v1.ModelService/UpdateModel',
      'modelkeep.metadata.v1.ModelService/RenameModel',
      'modelkeep.metadata.v1.ModelService/ArchiveModel',
      'modelkeep.metadata.v1.ModelService/UnarchiveModel',
      'modelkeep.metadata.v1.NamespaceService/CreateNamespace',
      'modelkeep.metadata.v1.NamespaceService/UpdateNamespace',
      'modelkeep.metadata.v1.VersionService/CreateVersion',
      'modelkeep.metadata.v1.VersionService/UpdateVersion',
    ])
  })

  test.each(CHANGES)('%s waits for the log unless it is declared minor, and its repeat is answered', (name) => {
    const at = changes.flatMap(({ method }, index) => (method.name === name ? [index] : []))
    const { minor } = accessRuleOf(changes[at[0]!]!.method)
    expect(at.map((index) => whileDown[index])).toEqual(at.map(() => (minor ? 'answered' : 'AUDIT_UNAVAILABLE')))
    expect(at.map((index) => repeated[index])).toEqual(at.map(() => 'answered'))
  })
})
