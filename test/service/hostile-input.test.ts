// Hostile values in every field of every RPC, one at a time in an otherwise valid request. The service rejects the request
// with the name of the field and changes nothing, or, where the value is allowed, stores and records it unchanged.
import { clone, toBinary, toJson, type DescMethod, type Message } from '@bufbuild/protobuf'
import { Code } from '@connectrpc/connect'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { S3Store } from '../../services/artifact/store/s3/s3-store.ts'
import { makeSigner } from '../support/audit.ts'
import { METHODS, pathOf, ruleOf } from '../support/every-service.ts'
import { HandClient, type HandAnswer, type HandCall } from '../support/hand-call.ts'
import { faultOf, isUnreadable } from '../support/hostile/judge.ts'
import { mutantsOf, type Mutant } from '../support/hostile/mutants.ts'
import { readLog, requestsDone, settle, stateOf, storedTexts } from '../support/hostile/traces.ts'
import { NO_UTF8 } from '../support/hostile/values.ts'
import { createBucket, type TestBucket } from '../support/minio.ts'
import { VALID } from '../support/valid/every-request.ts'
import { startWorld, type Valid, type World } from '../support/valid/world.ts'

let world: World
let bucket: TestBucket
let client: HandClient
beforeAll(async () => {
  bucket = await createBucket()
  world = await startWorld({ bytes: new S3Store(bucket.options), signer: makeSigner() })
  client = new HandClient(world.all.address)
})
afterAll(async () => {
  client.close()
  await world.all.close()
  await bucket.drop()
})

/** A call that was made, with the mutation of its request. */
interface Made {
  name: string
  method: DescMethod
  mutant: Mutant
  requestId: string
}
const made: Made[] = []
const AT_ONCE = 16
const FEWEST = 7_000

const named = METHODS.map((method) => [`${method.parent.name}/${method.name}`, method] as const)

describe.each(named)('%s', (name, method) => {
  const all = VALID.get(pathOf(method)) ?? []
  const isAllowed = ({ verdict }: Mutant): boolean => verdict === 'allowed'

  test('accepts its valid request', async () => {
    expect(all.length, 'a valid request is written down').toBeGreaterThan(0)
    for (const valid of all) {
      const { error, requestId } = await send(valid, await valid.make(world))
      expect(error?.message).toBeUndefined()
      expect(requestId).not.toBe('')
    }
  })

  test('rejects a hostile field by its name, or with the reason in its contract, and changes nothing', async () => {
    for (const valid of all) {
      const base = await valid.make(world)
      const mutants = hostile(valid, base).filter((mutant) => !isAllowed(mutant))
      await settle(world)
      const before = await stateOf(world)
      expect(await findFaults(name, valid, mutants, async () => base)).toEqual([])
      await expect.poll(() => stateOf(world)).toEqual(before)
    }
  })

  test('accepts unusual values that are allowed', async () => {
    for (const valid of all) {
      const mutants = hostile(valid, await valid.make(world)).filter(isAllowed)
      expect(await findFaults(name, valid, mutants, () => valid.make(world))).toEqual([])
    }
  })

  test('rejects bytes that are not a request message', async () => {
    const [valid] = all
    const calls = [
      client.grpc(callOf(valid!), [Buffer.from('\xff\xff\xff no message', 'latin1')]),
      client.json(callOf(valid!), ['{"nobodyKnowsThisField":1}']),
      client.json(callOf(valid!), ['[']),
      client.json(callOf(valid!), ['"text"']),
    ]
    for (const { error } of await Promise.all(calls)) expect(isUnreadable(error), error?.message).toBe(true)
  })
})

test.each([
  ['CreateGate', { name: 'a', rules: { aliasPattern: 'a', approvals: 2 } }, 'key "approvals" is unknown'],
  ['ListPromotions', { state: 'PENDING' }, 'PENDING'],
])('rejects JSON of %s with an unknown key or value instead of ignoring it', async (name, request, why) => {
  const method = METHODS.find((it) => it.name === name)!
  await settle(world)
  const before = await stateOf(world)
  const { error } = await client.json({ method, token: 'mk_admin', endless: false }, [JSON.stringify(request)])
  expect(error).toMatchObject({ code: Code.InvalidArgument, rawMessage: expect.stringContaining(why) as string })
  expect(await stateOf(world)).toEqual(before)
})

test('sends at least as many requests as before', () => {
  expect(made.length).toBeGreaterThan(FEWEST)
})

test('stores accepted texts unchanged, and records accepted reasons in the log', async () => {
  const kept = made.flatMap(({ mutant, name, method }) =>
    mutant.kept && ruleOf(method).audited ? [{ name, path: mutant.path, text: mutant.kept }] : [],
  )
  const stored = await storedTexts(world)
  const isReason = ({ path }: { path: string }): boolean => path === 'reason'
  expect(kept.filter((it) => !isReason(it) && !stored.has(it.text))).toEqual([])
  const find = async () => {
    const reasons = new Set((await readLog(world)).map(({ event }) => event!.reason))
    return kept.filter((it) => isReason(it) && !reasons.has(it.text))
  }
  await expect.poll(find).toEqual([])
})

/** Accepted calls that record no event: a dry run, and the removal of a role that nobody has. */
const NOTHING_DONE = ['MaintenanceService/CollectGarbage: ', 'IdentityService/RevokeRole: namespace a star']

test('the log has every accepted change, and no rejected one', async () => {
  const audited = made.filter(({ method }) => ruleOf(method).audited)
  const find = async () => {
    const done = requestsDone(await readLog(world))
    const wrong = audited.filter(({ mutant, requestId }) => done.has(requestId) !== (mutant.verdict === 'allowed'))
    const names = wrong.map(({ name, mutant }) => `${name}: ${mutant.path} ${mutant.what}`)
    return names.filter((it) => !NOTHING_DONE.some((nothing) => it.startsWith(nothing)))
  }
  await expect.poll(find).toEqual([])
})

test('no service logs an internal error', () => {
  const logged = world.all.serving.logs.filter((line) => /"message":"(fault|failing)"/.test(line))
  expect(logged).toEqual([])
})

function hostile({ method, only, verdicts = {} }: Valid, [first]: Message[]): Mutant[] {
  return mutantsOf(method.input, first!)
    .filter(({ path }) => !only || only.includes(path))
    .map((mutant) => ({ ...mutant, verdict: verdicts[`${mutant.path} ${mutant.what}`] ?? mutant.verdict }))
}

/** Sends the mutants, several at a time, and returns the unexpected responses. */
async function findFaults(
  name: string,
  valid: Valid,
  mutants: Mutant[],
  make: () => Promise<Message[]>,
): Promise<string[]> {
  const { method } = valid
  const wrong: string[] = []
  const one = async (mutant: Mutant): Promise<void> => {
    const { error, requestId } = await sendHostile(valid, await make(), mutant)
    made.push({ name, method, mutant, requestId })
    const fault = faultOf(mutant, error)
    if (fault) wrong.push(`${mutant.path} ${mutant.what}: ${fault}`)
  }
  for (let at = 0; at < mutants.length; at += AT_ONCE) {
    await Promise.all(mutants.slice(at, at + AT_ONCE).map(one))
  }
  return wrong
}

function callOf({ method, token }: Valid): HandCall {
  return { method, token, endless: method.name === 'WatchEntries' }
}

function send(valid: Valid, messages: Message[]): Promise<HandAnswer> {
  const { input } = valid.method
  return client.grpc(
    callOf(valid),
    messages.map((message) => spoil(toBinary(input, message))),
  )
}

function sendHostile(valid: Valid, [first, ...more]: Message[], mutant: Mutant): Promise<HandAnswer> {
  const { input } = valid.method
  const copy = clone(input, first!)
  mutant.apply(copy)
  if (mutant.via === 'grpc') return send(valid, [copy, ...more])
  const texts = [copy, ...more].map((message) => JSON.stringify(toJson(input, message)))
  return client.json(callOf(valid), texts)
}

/** Replaces the placeholder by bytes that are not UTF-8. */
function spoil(bytes: Uint8Array): Uint8Array {
  const buffer = Buffer.from(bytes)
  const at = buffer.indexOf(NO_UTF8)
  if (at >= 0) buffer.set([0xff, 0xfe, 0xed, 0xa0, 0x80], at)
  return buffer
}
