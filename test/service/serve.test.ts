// One port for every protocol. Hostile connections: serve-hostile.test.ts.
import { Code, createClient } from '@connectrpc/connect'
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts'
import { IdentityService } from '../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { accessOf } from '../../services/lib/access/caller.ts'
import { MAX_MESSAGE_BYTES, serve, type Served } from '../../services/lib/server/serve.ts'
import { callUnary, foreignClient, loadPackageProto, loadProto } from '../support/foreign.ts'
import { refusalOf } from '../support/refusal.ts'
import { grpcClient, stubServing } from '../support/serving.ts'

const serving = stubServing([IdentityService], (router) =>
  router.service(IdentityService, {
    whoAmI: (_request, context) => ({ principal: accessOf(context).caller.principal }),
    createToken: ({ description }) => ({ secret: String(description.length) }),
  }),
)
let served: Served
let address: string
beforeAll(async () => {
  served = await serve(serving, { host: '127.0.0.1', port: 0 })
  address = `http://127.0.0.1:${served.port}`
})
afterAll(() => served.close(0))

const IDENTITY = 'modelkeep.metadata.v1.IdentityService'

test('serves gRPC to a foreign client that has only the protos', async () => {
  const client = foreignClient(loadProto('modelkeep/metadata/v1/identity_service.proto'), IDENTITY, served.port)
  expect(await callUnary(client, 'WhoAmI', {}, 'mk_reader')).toMatchObject({
    principal: 'reader',
    roles: [],
    token: null,
  })
  const refused = callUnary(client, 'WhoAmI', {})
  await expect(refused).rejects.toMatchObject({ code: Code.Unauthenticated, details: expect.stringMatching(/Bearer/) })
  const unknown = callUnary(client, 'ListRoles', {}, 'mk_admin')
  await expect(unknown).rejects.toMatchObject({ code: Code.Unimplemented })
  client.close()
})

test.each(['1.1', '2'] as const)('serves gRPC-Web and Connect over HTTP/%s', async (httpVersion) => {
  for (const transport of [
    createGrpcWebTransport({ baseUrl: address, httpVersion }),
    createConnectTransport({ baseUrl: address, httpVersion }),
    createConnectTransport({ baseUrl: address, httpVersion, useBinaryFormat: false }),
  ]) {
    const client = createClient(IdentityService, transport)
    const headers = { authorization: 'Bearer mk_reader' }
    expect((await client.whoAmI({}, { headers })).principal).toBe('reader')
    expect(await refusalOf(client.whoAmI({}))).toMatchObject({ code: 'Unauthenticated', reason: 'TOKEN_INVALID' })
  }
})

test('serves Connect with JSON to a program that has only HTTP', async () => {
  const call = (method: string, init: RequestInit) => fetch(`${address}/${IDENTITY}/${method}`, init)
  const headers = { 'content-type': 'application/json', authorization: 'Bearer mk_reader', 'x-request-id': 'curl-1' }
  const answer = await call('WhoAmI', { method: 'POST', headers, body: '{}' })
  expect(answer.status).toBe(200)
  expect(answer.headers.get('x-request-id')).toBe('curl-1')
  expect(await answer.json()).toEqual({ principal: 'reader' })
  const query = '?connect=v1&encoding=json&message=%7B%7D'
  expect(await (await call(`WhoAmI${query}`, { headers: { authorization: 'Bearer mk_reader' } })).json()).toEqual({
    principal: 'reader',
  })
  const refused = await call('ListTokens', { method: 'POST', headers, body: '{}' })
  expect(refused.status).toBe(403)
  expect(await refused.json()).toMatchObject({
    code: 'permission_denied',
    details: [{ type: 'google.rpc.ErrorInfo', debug: { reason: 'PERMISSION_DENIED' } }],
  })
})

test('returns a valid request id of the caller, and replaces an invalid one', async () => {
  const idOf = async (id: string) => {
    const headers = { 'content-type': 'application/json', 'x-request-id': id }
    const answer = await fetch(`${address}/${IDENTITY}/WhoAmI`, { method: 'POST', headers, body: '{}' })
    return answer.headers.get('x-request-id')
  }
  expect(await idOf('trace-7.a_B')).toBe('trace-7.a_B')
  for (const id of ['x'.repeat(65), '<script>', 'a b', '"']) {
    expect(await idOf(id)).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/)
  }
})

test('reports the health of each service and of the process to probes of every kind', async () => {
  const health = foreignClient(
    loadPackageProto('grpc-health-check', 'proto/health/v1/health.proto'),
    'grpc.health.v1.Health',
    served.port,
  )
  for (const service of ['', IDENTITY]) {
    expect(await callUnary(health, 'Check', { service })).toEqual({ status: 'SERVING' })
  }
  await expect(callUnary(health, 'Check', { service: 'unknown' })).rejects.toMatchObject({ code: Code.NotFound })
  health.close()
  const probe = await fetch(`${address}/healthz`)
  expect([probe.status, await probe.text()]).toEqual([200, 'serving\n'])
  for (const [path, method] of [
    ['/', 'GET'],
    ['/healthz', 'POST'],
    ['/healthz/', 'GET'],
    ['/../../etc/passwd', 'GET'],
    [`/${IDENTITY}/Unknown`, 'POST'],
  ] as const) {
    expect((await fetch(`${address}${path}`, { method })).status, path).toBe(404)
  }
})

test('reports NOT_SERVING while the check fails', async () => {
  const ill = stubServing([IdentityService], () => {})
  let works: () => Promise<boolean> = async () => false
  const other = await serve({ ...ill, check: () => works(), healthCachedMs: 0 }, { host: '127.0.0.1', port: 0 })
  const client = grpcClient(Health, other.port)
  expect((await client.check({})).status).toBe(Status.NOT_SERVING)
  works = () => Promise.reject(new Error('the database is gone'))
  expect((await client.check({})).status).toBe(Status.NOT_SERVING)
  expect((await fetch(`http://127.0.0.1:${other.port}/healthz`)).status).toBe(503)
  works = async () => true
  expect((await client.check({})).status).toBe(Status.SERVING)
  await other.close(0)
})

const REFLECTION = [
  ['grpc.reflection.v1', 'build/proto/grpc/reflection/v1/reflection.proto'],
  ['grpc.reflection.v1alpha', 'build/proto/grpc/reflection/v1alpha/reflection.proto'],
] as const

test.each(REFLECTION)('%s returns the descriptors of every symbol', async (name, path) => {
  const client = foreignClient(loadPackageProto('@grpc/reflection', path), `${name}.ServerReflection`, served.port)
  const answers = await reflect(client, [
    { list_services: '' },
    { file_containing_symbol: IDENTITY },
    { file_containing_symbol: `${IDENTITY}.WhoAmI` },
    { file_containing_symbol: 'modelkeep.metadata.v1.Token' },
    { file_containing_symbol: 'google.rpc.ErrorInfo' },
    { file_by_filename: 'google/protobuf/timestamp.proto' },
    { file_containing_extension: { containing_type: 'google.protobuf.MethodOptions', extension_number: 50717 } },
    { all_extension_numbers_of_type: 'google.protobuf.MethodOptions' },
    { file_containing_symbol: 'no.such.Thing' },
  ])
  const [list, ...rest] = answers
  const services = (list!['list_services_response'] as { service: { name: string }[] }).service
  expect(services.map((service) => service.name)).toEqual(expect.arrayContaining([IDENTITY, 'grpc.health.v1.Health']))
  const files = rest.slice(0, 6).map((answer) => filesOf(answer)[0])
  expect(files).toEqual([
    expect.stringContaining('modelkeep/metadata/v1/identity_service.proto'),
    expect.stringContaining('modelkeep/metadata/v1/identity_service.proto'),
    expect.stringContaining('modelkeep/metadata/v1/identity.proto'),
    expect.stringContaining('google/rpc/error_details.proto'),
    expect.stringContaining('google/protobuf/timestamp.proto'),
    expect.stringContaining('modelkeep/common/v1/access.proto'),
  ])
  expect(filesOf(rest[0]!).length).toBeGreaterThan(3)
  expect(rest[6]!['all_extension_numbers_response']).toMatchObject({ extension_number: [50717] })
  expect(rest[7]!['error_response']).toMatchObject({ error_code: Code.NotFound })
  client.close()
})

type Answer = Record<string, unknown>

function reflect(client: ReturnType<typeof foreignClient>, questions: object[]): Promise<Answer[]> {
  return new Promise((resolve, reject) => {
    const stream = client['ServerReflectionInfo']!() as NodeJS.ReadWriteStream
    const answers: Answer[] = []
    stream.on('data', (answer) => answers.push(answer as Answer))
    stream.on('error', reject)
    stream.on('end', () => resolve(answers))
    for (const question of questions) stream.write(question as never)
    stream.end()
  })
}

/** The serialized file descriptors; each begins with the name of its file. */
function filesOf(answer: Answer): string[] {
  const found = answer['file_descriptor_response'] as { file_descriptor_proto: Buffer[] }
  return found.file_descriptor_proto.map((file) => file.toString('latin1'))
}

test('accepts a message of 4 MiB, and rejects a larger one', async () => {
  const client = grpcClient(IdentityService, served.port, 'mk_admin')
  const fits = 'x'.repeat(MAX_MESSAGE_BYTES - 100)
  expect((await client.createToken({ description: fits })).secret).toBe(String(fits.length))
  const over = client.createToken({ description: 'x'.repeat(MAX_MESSAGE_BYTES) })
  expect((await refusalOf(over)).code).toBe('ResourceExhausted')
  const headers = { 'content-type': 'application/json', authorization: 'Bearer mk_admin' }
  const body = JSON.stringify({ description: 'x'.repeat(MAX_MESSAGE_BYTES) })
  const answer = await fetch(`${address}/${IDENTITY}/CreateToken`, { method: 'POST', headers, body })
  expect(((await answer.json()) as { code: string }).code).toBe('resource_exhausted')
})

test('logs the details of an unexpected error, and does not return them to the caller', async () => {
  const broken = stubServing([IdentityService], (router) =>
    router.service(IdentityService, {
      whoAmI: () => {
        throw new Error('secret detail')
      },
    }),
  )
  const other = await serve(broken, { host: '127.0.0.1', port: 0 })
  const refused = await refusalOf(grpcClient(IdentityService, other.port, 'mk_reader').whoAmI({}))
  expect(refused).toMatchObject({ code: 'Internal', reason: 'INTERNAL' })
  expect(JSON.stringify(refused)).not.toContain('secret detail')
  expect(broken.logs.join('\n')).toContain('secret detail')
  expect(broken.logs.join('\n')).not.toContain('mk_reader')
  await other.close(0)
})

test.each([
  ['', 'Unauthenticated', 'TOKEN_INVALID'],
  ['mk_nobody', 'PermissionDenied', 'PERMISSION_DENIED'],
])('logs the rejection of token "%s" as one short line of level info', async (token, code, reason) => {
  serving.logs.length = 0
  const refused = await refusalOf(grpcClient(IdentityService, served.port, token).listTokens({}))
  const lines = serving.logs.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(lines).toMatchObject([{ level: 'info', message: 'call refused', code, reason, detail: refused.message }])
  expect(serving.logs.join('')).not.toContain('stack')
})
