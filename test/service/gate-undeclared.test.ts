// RPCs that declare no permission are denied; answers of handlers that do not check access are withheld.
import { create, createFileRegistry, setExtension, type DescService } from '@bufbuild/protobuf'
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  MethodOptionsSchema,
  type MethodOptions,
} from '@bufbuild/protobuf/wkt'
import { createClient, type HandlerContext } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { access, AccessSchema, Permission } from '../../gen/modelkeep/common/v1/access_pb.ts'
import { accessOf } from '../../services/lib/access/caller.ts'
import { fail, ModelkeepError } from '../../services/lib/errors/errors.ts'
import { serve, type Served } from '../../services/lib/server/serve.ts'
import { refusalOf } from '../support/refusal.ts'
import { grpcClient, stubServing } from '../support/serving.ts'

interface MethodInit {
  name: string
  permission?: Permission
  services?: string[]
  streaming?: boolean
}

/** A service defined at run time, whose RPCs receive and return a message with the field `text`. */
function defineService(methods: MethodInit[]): DescService {
  const file = create(FileDescriptorProtoSchema, {
    name: 'test/v1/thing_service.proto',
    package: 'test.v1',
    syntax: 'proto3',
    messageType: [
      {
        name: 'Thing',
        field: [{ name: 'text', jsonName: 'text', number: 1, type: Type.STRING, label: Label.OPTIONAL }],
      },
    ],
    service: [{ name: 'ThingService', method: methods.map(describeMethod) }],
  })
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }))
  return registry.getService('test.v1.ThingService')!
}

function describeMethod({ name, permission, services = [], streaming = false }: MethodInit) {
  const options: MethodOptions = create(MethodOptionsSchema)
  if (permission !== undefined) {
    setExtension(options, access, create(AccessSchema, { permission, services }))
  }
  const inputType = '.test.v1.Thing'
  return { name, inputType, outputType: inputType, options, serverStreaming: streaming }
}

const things = defineService([
  { name: 'Undeclared' },
  { name: 'Unspecified', permission: Permission.UNSPECIFIED },
  { name: 'Unknown', permission: 77 as Permission },
  { name: 'ForNoService', permission: Permission.SERVICE },
  { name: 'OmitsCheck', permission: Permission.READ },
  { name: 'OmitsCheckOfWrite', permission: Permission.WRITE },
  { name: 'OmitsCheckInStream', permission: Permission.READ, streaming: true },
  { name: 'ChecksLate', permission: Permission.READ, streaming: true },
  { name: 'Checks', permission: Permission.READ },
  { name: 'HidesResource', permission: Permission.READ },
])

const SECRET = { text: 'the secret of another namespace' }
let ran: string[] = []

type Implementation = Record<string, (request: { text: string }, context: HandlerContext) => unknown>

const implementation: Implementation = {
  undeclared: () => run('undeclared'),
  unspecified: () => run('unspecified'),
  unknown: () => run('unknown'),
  forNoService: () => run('forNoService'),
  omitsCheck: () => run('omitsCheck'),
  omitsCheckOfWrite: () => run('omitsCheckOfWrite'),
  async *omitsCheckInStream() {
    yield run('omitsCheckInStream')
  },
  async *checksLate(_request, context) {
    yield run('checksLate')
    accessOf(context).require('default')
  },
  checks(request, context) {
    accessOf(context).require(request.text)
    return run('checks')
  },
  hidesResource(request, context) {
    accessOf(context).require(request.text, () => fail('MODEL_NOT_FOUND', 'there is no such model', { model: 'x' }))
    return run('hidesResource')
  },
}

function run(name: string) {
  ran.push(name)
  return SECRET
}

const serving = stubServing([things], (router) => router.service(things, implementation as never))
let served: Served
beforeAll(async () => {
  served = await serve(serving, { host: '127.0.0.1', port: 0 })
})
afterAll(() => served.close(0))

type Call = (request: { text: string }) => Promise<{ text: string }>

function callerOf(token: string): Record<string, Call> {
  return grpcClient(things, served.port, token)
}

async function readAll(answers: unknown): Promise<unknown[]> {
  const all: unknown[] = []
  for await (const answer of answers as AsyncIterable<unknown>) all.push(answer)
  return all
}

test.each(['undeclared', 'unspecified', 'unknown', 'forNoService'])(
  'denies every caller an RPC with the access rule %s, and never runs its handler',
  async (name) => {
    ran = []
    for (const token of ['mk_admin', 'mk_owner', 'mks_metadata', 'mks_artifact', 'mks_audit']) {
      const refused = await refusalOf(callerOf(token)[name]!({ text: '' }))
      expect(refused).toMatchObject({ code: 'PermissionDenied', reason: 'PERMISSION_DENIED' })
    }
    expect((await refusalOf(callerOf('')[name]!({ text: '' }))).code).toBe('Unauthenticated')
    expect(ran).toEqual([])
  },
)

test.each(['omitsCheck', 'omitsCheckOfWrite'])(
  'withholds the answer of the handler %s, which does not check access',
  async (name) => {
    ran = []
    const refused = await refusalOf(callerOf('mk_admin')[name]!({ text: '' }))
    expect(refused).toMatchObject({ code: 'Internal', reason: 'INTERNAL' })
    expect(JSON.stringify(refused)).not.toContain(SECRET.text)
    expect(ran).toEqual([name])
    expect(serving.logs.join('\n')).toContain('did not check access')
  },
)

test.each(['omitsCheckInStream', 'checksLate'])('withholds every message of the stream %s', async (name) => {
  const answers: unknown[] = []
  const reading = (async () => {
    const stream = callerOf('mk_admin')[name]!({ text: '' }) as unknown as AsyncIterable<unknown>
    for await (const answer of stream) answers.push(answer)
  })()
  expect(await refusalOf(reading)).toMatchObject({ code: 'Internal', reason: 'INTERNAL' })
  expect(answers).toEqual([])
})

test('withholds the answer over JSON too', async () => {
  const transport = createConnectTransport({ baseUrl: `http://127.0.0.1:${served.port}`, httpVersion: '1.1' })
  const client = createClient(things, transport) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
  const headers = { authorization: 'Bearer mk_admin' }
  const refused = await refusalOf(client['omitsCheck']!({}, { headers }))
  expect(JSON.stringify(refused)).not.toContain(SECRET.text)
  await expect(readAll(client['omitsCheckInStream']!({}, { headers }))).rejects.toThrow('response withheld')
})

test('returns the answer where the caller has the role, and records a denial with its namespace elsewhere', async () => {
  const reader = callerOf('mk_reader')
  expect(await reader['checks']!({ text: 'default' })).toMatchObject(SECRET)
  const before = serving.refusals.length
  expect(await refusalOf(reader['checks']!({ text: 'other' }))).toMatchObject({
    code: 'PermissionDenied',
    metadata: { permission: 'READ', namespace: 'other' },
  })
  expect(serving.refusals.slice(before)).toMatchObject([
    {
      type: 'access.denied.v1',
      caller: { principal: 'reader' },
      method: 'test.v1.ThingService/Checks',
      namespace: 'other',
      details: { permission: 'READ' },
    },
  ])
})

test('returns not found for a resource that the caller cannot read', async () => {
  const reader = callerOf('mk_reader')
  expect(await reader['hidesResource']!({ text: 'default' })).toMatchObject(SECRET)
  expect(await refusalOf(reader['hidesResource']!({ text: 'other' }))).toMatchObject({
    code: 'NotFound',
    reason: 'MODEL_NOT_FOUND',
  })
})

test('rejects the call also when the denial cannot be recorded', async () => {
  const deaf = { ...serving, recordRefusal: () => Promise.reject(new ModelkeepError('DEPENDENCY_UNAVAILABLE', 'no')) }
  const other = await serve(deaf, { host: '127.0.0.1', port: 0 })
  const client = grpcClient(things, other.port, 'mk_nobody') as unknown as Record<string, Call>
  const reader = grpcClient(things, other.port, 'mk_reader') as unknown as Record<string, Call>
  expect(['PermissionDenied', 'Unavailable']).toContain((await refusalOf(client['checks']!({ text: 'default' }))).code)
  expect(['PermissionDenied', 'Unavailable']).toContain((await refusalOf(reader['checks']!({ text: 'other' }))).code)
  await other.close(0)
})
