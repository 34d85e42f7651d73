// The real services: their handlers return nothing to callers with a role elsewhere, and handle bad input without faults.
import type { DescField, DescMethod, DescService } from '@bufbuild/protobuf'
import { ConnectError, type Client } from '@connectrpc/connect'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ModelService } from '../../gen/modelkeep/metadata/v1/model_service_pb.ts'
import { VersionService } from '../../gen/modelkeep/metadata/v1/version_service_pb.ts'
import { startAllServices, type AllServices } from '../support/all-services.ts'
import { runSql } from '../support/database.ts'
import { METHODS, ruleOf } from '../support/every-service.ts'
import { refusalOf } from '../support/refusal.ts'
import { fillRequest, type Filling } from '../support/requests.ts'
import { BYTES, DIGEST, makeSecrets, SECRET } from '../support/secrets.ts'

let all: AllServices
let strings: Record<string, string>
beforeAll(async () => {
  all = await startAllServices()
  strings = await makeSecrets(all)
})
afterAll(() => all.close())

type AnyClient = Record<string, (input: unknown, options: object) => unknown>
type Outcome = { answer: string } | { code: string; reason: string; message: string }

/** Calls a method of any kind; the answer of a stream is its first message. */
async function call(method: DescMethod, request: object, token: string): Promise<Outcome> {
  const client: Client<DescService> = all.client(method.parent, token)
  const run = (client as unknown as AnyClient)[method.localName]!
  const leaving = AbortSignal.timeout(20_000)
  async function* once() {
    yield request
  }
  const fromClient = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming'
  try {
    const answer = run(fromClient ? once() : request, { signal: leaving })
    return { answer: show(method.methodKind === 'server_streaming' ? await first(answer) : await answer) }
  } catch (error) {
    if (leaving.aborted) throw new Error(`${method.name} gave no answer`, { cause: error })
    const { code, reason } = await refusalOf(Promise.reject(ConnectError.from(error)))
    return { code, reason, message: ConnectError.from(error).rawMessage }
  }
}

async function first(answers: unknown): Promise<unknown> {
  for await (const answer of answers as AsyncIterable<unknown>) return answer
  return undefined
}

function show(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? String(part) : part)) ?? ''
}

const NAME = `blobs/${DIGEST.replace('sha256:', '')}/${BYTES.length}`
/** The value of a text field without a prepared one; the resource name of google.bytestream differs for reads and writes. */
function otherString({ name, parent }: DescField): string {
  if (name === 'resource_name') return parent.name === 'ReadRequest' ? NAME : `uploads/${randomUUID()}/${NAME}`
  return name === 'name' ? SECRET : 'x'
}

/** Fields that exclude others, so requests leave them unset. */
const LEFT_OUT = [
  'CreateVersionRequest.facts',
  'Dataset.role',
  'at_time',
  'GateRules.expiry',
  'ListPromotionsRequest.namespace',
]

const real = METHODS.map((method): [string, DescMethod] => [`${method.parent.name}/${method.name}`, method])

/** Lists that answer with what the caller can read, here nothing. */
const FILTERED = ['NamespaceService/ListNamespaces', 'ModelService/ListModels', 'VersionService/ListVersions']
const FILTERED_LOG = ['LogService/ListEntries', 'LogService/WatchEntries']

describe('a caller with a role in another namespace', () => {
  const tied = real.filter(([, method]) => ['READ', 'WRITE', 'APPROVE', 'ADMINISTER'].includes(ruleOf(method).name))

  const plausible = (): Filling => ({
    strings,
    string: otherString,
    number: 1,
    bytes: BYTES,
    leaveOut: LEFT_OUT,
  })

  test.each(tied)('learns nothing and changes nothing by %s', async (name, method) => {
    const variants = [strings, { ...strings, namespace: '' }, { ...strings, namespace: '*' }]
    for (const variant of variants) {
      const request = fillRequest(method.input, { ...plausible(), strings: variant })
      const outcome = await call(method, request, 'mk_elsewhere')
      expect(show(outcome)).not.toContain(`${SECRET}.onnx`)
      if ('answer' in outcome) {
        expect([...FILTERED, ...FILTERED_LOG]).toContain(name)
        expect(outcome.answer).not.toContain(SECRET)
      } else expect(['PermissionDenied', 'NotFound', 'InvalidArgument']).toContain(outcome.code)
    }
  })

  test('is denied by its role, not because of bad input', async () => {
    const codes: Record<string, string> = {}
    for (const [name, method] of tied) {
      const outcome = await call(method, fillRequest(method.input, plausible()), 'mk_elsewhere')
      codes[name] = 'code' in outcome ? outcome.code : 'answered'
    }
    const byChance = Object.entries(codes).filter(([, code]) => code === 'InvalidArgument')
    expect(byChance.map(([name]) => name)).toEqual([])
  })

  test('causes only denials and failed attempts as events', async () => {
    for (const schema of ['metadata', 'artifact']) {
      const rows = (await runSql(
        all.url,
        `select event ->> 'type' as type from ${schema}.outbox where event #>> '{actor,principal}' = 'elsewhere'`,
      )) as { type: string }[]
      for (const { type } of rows) expect(['access.denied.v1', 'attempt.failed.v1']).toContain(type)
    }
  })
})

describe('a caller who reads one namespace and administers another', () => {
  const request = (method: DescMethod) =>
    fillRequest(method.input, {
      strings,
      string: otherString,
      number: 1,
      bytes: BYTES,
      leaveOut: [...LEFT_OUT, 'semver'],
    })

  const changes = real.filter(([, method]) => ['WRITE', 'APPROVE', 'ADMINISTER'].includes(ruleOf(method).name))
  test.each(changes)('is denied %s in the first namespace', async (_name, method) => {
    const outcome = await call(method, request(method), 'mk_mixed')
    // An upload is visible only to the caller who started it.
    const code = isOfAnUpload(method) ? 'NotFound' : 'PermissionDenied'
    expect(outcome).toMatchObject({ code })
  })

  const isOfAnUpload = (method: DescMethod): boolean =>
    ['WritePart', 'GetUpload', 'CompleteUpload', 'AbortUpload', 'SignParts', 'ConfirmParts'].includes(method.name)

  test('reads the first namespace', async () => {
    const model = { ref: { case: 'name' as const, value: { model: SECRET } } }
    const answer = await all.client(ModelService, 'mk_mixed').getModel({ model })
    expect(answer.model!.description).toBe(SECRET)
    const { versions } = await all.client(VersionService, 'mk_mixed').listVersions({ model })
    expect(versions).toHaveLength(1)
  })
})

/** Codes that would mean a fault of the service. */
const FAULTS = ['Internal', 'Unknown', 'DataLoss', 'Unavailable']
const ID = '01900000-0000-7000-8000-000000000000'

const STRANGE: [string, Partial<Filling>][] = [
  ['nothing', { string: () => '', number: 0, bytes: Buffer.alloc(0) }],
  ['NUL', { string: () => '\0', number: -1 }],
  ['quotes', { string: () => `'"; drop table model; --` }],
  ['wildcards', { string: () => `%_\\*?$1` }],
  ['dots', { string: () => '../../../etc/passwd' }],
  ['a word', { string: () => 'x', number: 2_147_483_647 }],
  ['least numbers', { string: () => 'x', number: -2_147_483_648 }],
  ['an id', { string: () => ID, number: 1 }],
  ['a digest', { string: () => `sha256:${'0'.repeat(64)}`, number: 1 }],
  ['bidirectional text', { string: () => '\u202e\u0000\u{1f5dd}\ufffd', number: 1.5 }],
  ['long texts', { string: () => 'x'.repeat(70_000), number: 1 }],
  ['a star', { string: () => '*', number: 1000 }],
]

describe('never fails with a fault of the service on strange input by an administrator', () => {
  const mine = real.filter(([, method]) => !['SERVICE'].includes(ruleOf(method).name))

  test.each(mine)(
    '%s',
    async (_name, method) => {
      for (const [what, change] of STRANGE) {
        const filling = { strings: {}, string: () => '', number: 1, bytes: Buffer.from('x'), ...change }
        for (const kept of [{}, strings]) {
          const request = fillRequest(method.input, { ...filling, strings: kept })
          const outcome = await call(method, request, 'mk_admin')
          if ('code' in outcome) expect(FAULTS, `${what}: ${show(outcome)}`).not.toContain(outcome.code)
        }
      }
    },
    60_000,
  )

  const services = real.filter(([, method]) => ruleOf(method).name === 'SERVICE')
  test.each(services)('%s, called by a peer service', async (_name, method) => {
    for (const [what, change] of STRANGE) {
      const filling = { string: () => '', number: 1, bytes: Buffer.from('x'), ...change, strings: {} }
      const outcome = await call(method, fillRequest(method.input, filling), `mks_${ruleOf(method).services[0]}`)
      if ('code' in outcome) expect(FAULTS, `${what}: ${show(outcome)}`).not.toContain(outcome.code)
    }
  })
})
