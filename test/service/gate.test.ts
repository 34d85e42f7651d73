// Every RPC of every service declares who may call it, and whoever may not is refused before the body is read.
import { MethodOptions_IdempotencyLevel as Idempotency } from '@bufbuild/protobuf/wkt'
import type { DescMethod } from '@bufbuild/protobuf'
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { serve, type Served } from '../../services/lib/server/serve.ts'
import { METHODS, pathOf, ruleOf, SERVICES } from '../support/every-service.ts'
import { CALLERS, stubServing } from '../support/serving.ts'

/** RPCs that sound like a change and leave no event of their own, and why. */
const NOT_AUDITED: Record<string, string> = {
  'UploadService/StartUpload': 'nothing is kept before CompleteUpload, which is audited',
  'UploadService/WritePart': 'parts are no content until CompleteUpload, which is audited',
  'DirectService/SignParts': 'lets parts be sent, which are no content until CompleteUpload',
  'DirectService/ConfirmParts': 'parts are no content until CompleteUpload, which is audited',
  'UploadService/AbortUpload': 'takes back what was never content',
  'MaintenanceService/VerifyBlob': 'finds out; only what it finds wrong is an event, by the service itself',
  'ManifestService/RetainManifest': 'part of version.created, which the metadata service tells',
  'ManifestService/ReleaseManifest': 'part of version.deleted, which the metadata service tells',
  'IngestService/AppendEvents': 'events themselves',
}
/** What others defined cannot say of itself that it has no side effects. */
const FOREIGN_READS = ['ByteStream/Read', 'ByteStream/QueryWriteStatus']
/** Begins leases for those who may write, which needs no event of its own. */
const RENEWING_READ = 'BlobService/FindMissingBlobs'
const READS = /^(Get|List|Find|Resolve|Download|Watch|Export|Test|WhoAmI$|AuthenticateToken$|Export)/

const named = METHODS.map((method): [string, DescMethod] => [`${method.parent.name}/${method.name}`, method])

describe('the contracts', () => {
  test('were all found', () => {
    expect(SERVICES.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['NamespaceService', 'ModelService', 'VersionService', 'AliasService', 'IdentityService']),
    )
    expect(SERVICES.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['BlobService', 'UploadService', 'ManifestService', 'IngestService', 'LogService']),
    )
    expect(METHODS.length).toBeGreaterThanOrEqual(45)
  })

  test.each(named)('%s declares its permission', (_name, method) => {
    const { name, services } = ruleOf(method)
    expect(['AUTHENTICATED', 'READ', 'WRITE', 'APPROVE', 'ADMINISTER', 'PLATFORM', 'SERVICE']).toContain(name)
    if (name === 'SERVICE') expect(services).not.toEqual([])
    else expect(services).toEqual([])
    for (const service of services) expect(Object.keys(CALLERS)).toContain(`mks_${service}`)
  })

  test.each(named)('%s is a read without side effects, or audited, or says why not', (name, method) => {
    const { audited, name: permission } = ruleOf(method)
    if (FOREIGN_READS.includes(name)) return expect(audited).toBe(false)
    if (name === RENEWING_READ) return expect(method.idempotency).toBe(Idempotency.IDEMPOTENT)
    if (READS.test(method.name)) {
      expect(audited).toBe(false)
      expect(method.idempotency).toBe(Idempotency.NO_SIDE_EFFECTS)
      return
    }
    expect(method.idempotency).not.toBe(Idempotency.NO_SIDE_EFFECTS)
    expect(permission).not.toBe('READ')
    expect(audited || NOT_AUDITED[name] !== undefined, `${name} is neither audited nor excused`).toBe(true)
    expect(audited && NOT_AUDITED[name] !== undefined, `${name} is audited and excused`).toBe(false)
  })

  test('excuses are for RPCs that exist', () => {
    for (const name of Object.keys(NOT_AUDITED)) expect(named.map(([known]) => known)).toContain(name)
  })
})

const ADMINISTERS_ELSEWHERE = ['mk_elsewhere', 'mk_mixed', 'mk_mixed_contributor', 'mk_mixed_approver']
/** Who may call by the first check, by permission: the callers of `CALLERS` who hold it anywhere. */
const MAY_CALL: Record<string, string[]> = {
  AUTHENTICATED: Object.keys(CALLERS),
  READ: ['mk_admin', 'mk_reader', 'mk_contributor', 'mk_approver', 'mk_owner', ...ADMINISTERS_ELSEWHERE],
  WRITE: ['mk_admin', 'mk_contributor', 'mk_approver', 'mk_owner', ...ADMINISTERS_ELSEWHERE],
  APPROVE: ['mk_admin', 'mk_approver', 'mk_owner', ...ADMINISTERS_ELSEWHERE],
  ADMINISTER: ['mk_admin', 'mk_owner', ...ADMINISTERS_ELSEWHERE],
  PLATFORM: ['mk_admin'],
}

function mayCall(method: DescMethod): string[] {
  const { name, services } = ruleOf(method)
  return name === 'SERVICE' ? services.map((service) => `mks_${service}`) : MAY_CALL[name]!
}

describe('the gate, on a real socket', () => {
  // No handler is mounted: what is let in ends as UNIMPLEMENTED, once its body was read.
  const serving = stubServing(SERVICES, (router) => SERVICES.forEach((service) => router.service(service, {})))
  let served: Served
  let session: ClientHttp2Session
  beforeAll(async () => {
    served = await serve(serving, { host: '127.0.0.1', port: 0 })
  })
  afterAll(() => served.close(0))
  // A connection on which too many calls were broken off is closed.
  beforeEach(() => {
    session = connect(`http://127.0.0.1:${served.port}`)
  })
  afterEach(() => session.destroy())

  /** The `grpc-status` of a call whose headers came and whose body never does. */
  function statusWithoutBody(method: DescMethod, headers: Record<string, string>): Promise<string> {
    const stream = session.request({
      ':method': 'POST',
      ':path': pathOf(method),
      'content-type': 'application/grpc+proto',
      te: 'trailers',
      ...headers,
    })
    return new Promise((resolve, reject) => {
      const settle = (answer: IncomingHttpHeaders) => {
        if (answer['grpc-status'] === undefined) return
        resolve(String(answer['grpc-status']))
        stream.destroy()
      }
      stream.on('response', settle).on('trailers', settle).on('error', reject).resume()
    })
  }

  const UNAUTHENTICATED = '16'
  const PERMISSION_DENIED = '7'

  test.each(named)('%s refuses strangers before the body', async (_name, method) => {
    for (const headers of [
      {},
      { authorization: 'mk_admin' },
      { authorization: 'Bearer' },
      { authorization: 'Bearer ' },
      { authorization: 'Bearer mk_admin mk_admin' },
      { authorization: 'Basic bWtfYWRtaW46' },
      { authorization: 'Bearer mk_unknown' },
      { authorization: 'Bearer __proto__' },
      { authorization: `Bearer ${'x'.repeat(8000)}` },
    ] as Record<string, string>[]) {
      expect(await statusWithoutBody(method, headers), JSON.stringify(headers)).toBe(UNAUTHENTICATED)
    }
  })

  test.each(named)('%s refuses who lacks the permission before the body, and tells of it', async (_name, method) => {
    const refused = Object.keys(CALLERS).filter((token) => !mayCall(method).includes(token))
    for (const token of refused) {
      const before = serving.refusals.length
      expect(await statusWithoutBody(method, { authorization: `Bearer ${token}` }), token).toBe(PERMISSION_DENIED)
      expect(serving.refusals.slice(before)).toMatchObject([
        { caller: CALLERS[token], method: pathOf(method).slice(1), details: { permission: ruleOf(method).name } },
      ])
    }
  })

  test.each(named.filter(([, { methodKind }]) => methodKind === 'unary'))(
    '%s takes a body that is nonsense for a refusal of the caller, not of the body',
    async (_name, method) => {
      const call = (type: string, authorization: string) =>
        fetch(`http://127.0.0.1:${served.port}${pathOf(method)}`, {
          method: 'POST',
          headers: { 'content-type': type, authorization },
          body: '{"nonsense',
        }).then(async (answer) => ((await answer.json()) as { code: string }).code)
      for (const type of ['application/json', 'application/proto']) {
        expect(await call(type, '')).toBe('unauthenticated')
        expect(await call(type, 'Bearer mk_unknown')).toBe('unauthenticated')
        const denied = Object.keys(CALLERS).find((token) => !mayCall(method).includes(token))
        if (denied) expect(await call(type, `Bearer ${denied}`)).toBe('permission_denied')
        // Now the body is looked at.
        const code = type === 'application/json' ? 'invalid_argument' : 'internal'
        expect(await call(type, `Bearer ${mayCall(method)[0]}`)).toBe(code)
      }
    },
  )
})
