// Request ids of all RPCs that change something: a repeat returns the first answer, and another RPC never returns it.
import { fromJson, toJson, type DescMethodUnary, type Message } from '@bufbuild/protobuf'
import { randomUUID } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { CHANGES, outcomeOf, prepareChanges, type Change } from '../../support/changes.ts'
import { startMetadata } from '../../support/metadata.ts'

const metadata = await startMetadata()
let changes: Change[]
const answers: Message[] = []
beforeAll(async () => {
  changes = await prepareChanges(metadata)
  for (const { caller, method, request } of changes) {
    request.requestId = randomUUID()
    answers.push(await caller.call(method, request))
  }
})

test.each(CHANGES)('%s returns the first answer to a repeat, and changes nothing again', async (name) => {
  for (const [at, { caller, method, request }] of changes.entries()) {
    if (method.name !== name) continue
    const events = await metadata.eventsOf(async () => {
      const repeated = await caller.call(method, request)
      // The secret of a token is shown once.
      expect(repeated).toEqual({ ...answers[at], ...(name === 'CreateToken' && { secret: '' }) })
    })
    expect(events).toEqual([])
  }
})

/** The same content as a request of another RPC, or undefined where the fields differ. */
function readAs(method: DescMethodUnary, { method: own, request }: Change): Message | undefined {
  try {
    return fromJson(method.input, toJson(own.input, request))
  } catch {
    return undefined
  }
}

/** Sends every request to every other RPC that can parse it, and returns the names of both with the outcome. */
async function tryElsewhere(): Promise<[string, string][]> {
  const methods = new Map(changes.map(({ method }) => [method.name, method]))
  const tried: [string, string][] = []
  for (const change of changes) {
    for (const method of methods.values()) {
      const request = method === change.method ? undefined : readAs(method, change)
      if (!request) continue
      tried.push([`${change.method.name} as ${method.name}`, await outcomeOf(change.caller.call(method, request))])
    }
  }
  return tried
}

test('rejects the same request id and content in another RPC, and changes nothing', async () => {
  let tried: [string, string][] = []
  const events = await metadata.eventsOf(async () => {
    tried = await tryElsewhere()
  })
  expect(tried.filter(([, outcome]) => outcome === 'answered')).toEqual([])
  expect(events.filter(({ type }) => type !== 'access.denied.v1')).toEqual([])
  const reused = tried.filter(([, outcome]) => outcome === 'REQUEST_ID_REUSED').map(([names]) => names)
  expect(reused).toEqual(
    expect.arrayContaining([
      'CreateNamespace as CreateModel',
      'CreateNamespace as DeleteNamespace',
      'ArchiveModel as UnarchiveModel',
      'ArchiveModel as DeleteModel',
      'UnarchiveModel as ArchiveModel',
      'ApprovePromotion as RejectPromotion',
      'RejectPromotion as ApprovePromotion',
      'WithdrawPromotion as ApprovePromotion',
      'WithdrawPromotion as RevokeToken',
    ]),
  )
})
