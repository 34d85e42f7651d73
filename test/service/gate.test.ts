// Every RPC of every service declares its permission, and callers without it are denied before the body is read.
import { MethodOptions_IdempotencyLevel as Idempotency } from '@bufbuild/protobuf/wkt'
import type { DescMethod } from '@bufbuild/protobuf'
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { serve, type Served } from '../../services/lib/server/serve.ts'
import { METHODS, pathOf, ruleOf, SERVICES } from '../support/every-service.ts'
import { CALLERS, stubServing } from '../support/serving.ts'

/** RPCs that are not reads and emit no event of their own, with the reason. */
const NOT_AUDITED: Record<string, string> = {
  'UploadService/StartUpload': 'nothing is stored before CompleteUpload, which is audited',
  'UploadService/WritePart': 'parts are no content until CompleteUpload, which is audited',
  'DirectService/SignParts': 'allows sending parts, which are no content until CompleteUpload',
  'DirectService/ConfirmParts': 'parts are no content until CompleteUpload, which is audited',
  'UploadService/AbortUpload': 'discards parts that were never content',
  'MaintenanceService/VerifyBlob': 'only reads; the service emits an event for damage that it finds',
  'ManifestService/RetainManifest': 'part of version.created, which the metadata service emits',
  'ManifestService/ReleaseManifest': 'part of version.deleted, which the metadata service emits',
  'IngestService/AppendEvents': 'events themselves',
}
/** Reads of foreign protos, which cannot declare that they have no side effects. */
const FOREIGN_READS = ['ByteStream/Read', 'ByteStream/QueryWriteStatus']
/** A read that renews leases for callers who can write, and emits no event for that. */
const RENEWING_READ = 'BlobService/FindMissingBlobs'
const READS = /^(Get|List|Find|Resolve|Download|Watch|Export|Test|WhoAmI$|AuthenticateToken$|Export)/

const named = METHODS.map((method): [string, DescMethod] => [`${method.parent.name}/${method.name}`, method])

describe('access rules', () => {
  test('cover every service', () => {
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

  test.each(named)('%s is a read without side effects, or audited, or listed as an exception', (name, method) => {
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

  test('have exceptions only for RPCs that exist', () => {
    for (const name of Object.keys(NOT_AUDITED)) expect(named.map(([known]) => known)).toContain(name)
  })
})

const ADMINISTERS_ELSEWHERE = ['mk_elsewhere', 'mk_mixed', 'mk_mixed_contributor', 'mk_mixed_approver']
/** The callers of `CALLERS` whom the first check accepts, by permission: they hold it in any namespace. */
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

describe('the access check on a real socket', () => {
  // No handler is mounted: an accepted call ends as UNIMPLEMENTED after its body was read.
  const serving = stubServing(SERVICES, (router) => SERVICES.forEach((service) => router.service(service, {})))
  let served: Served
  let session: ClientHttp2Session
  beforeAll(async () => {
    served = await serve(serving, { host: '127.0.0.1', port: 0 })
  })
  afterAll(() => served.close(0))
  // The server closes a connection on which too many calls were cancelled.
  beforeEach(() => {
    session = connect(`http://127.0.0.1:${served.port}`)
  })
  afterEach(() => session.destroy())

  /** The `grpc-status` of a call that sends headers and never a body. */
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

  test.each(named)('%s rejects unauthenticated callers before the body', async (_name, method) => {
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

  test.each(named)(
    '%s denies callers without the permission before the body, and records the denial',
    async (_name, method) => {
      const refused = Object.keys(CALLERS).filter((token) => !mayCall(method).includes(token))
      for (const token of refused) {
        const before = serving.refusals.length
        expect(await statusWithoutBody(method, { authorization: `Bearer ${token}` }), token).toBe(PERMISSION_DENIED)
        expect(serving.refusals.slice(before)).toMatchObject([
          { caller: CALLERS[token], method: pathOf(method).slice(1), details: { permission: ruleOf(method).name } },
        ])
      }
    },
  )

  test.each(named.filter(([, { methodKind }]) => methodKind === 'unary'))(
    '%s checks the caller before it parses a malformed body',
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
        // An accepted caller gets the error of the body.
        expect(await call(type, `Bearer ${mayCall(method)[0]}`)).toBe('invalid_argument')
      }
    },
  )
})
