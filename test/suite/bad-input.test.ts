// Every RPC of every service against hostile values in every field: the answer is a reasoned refusal or a success, never a
// fault, and a refused call writes nothing.
import {
  create,
  getOption,
  ScalarType,
  type DescField,
  type DescMessage,
  type DescMethod,
  type Message,
} from '@bufbuild/protobuf'
import { reflect } from '@bufbuild/protobuf/reflect'
import { Code, ConnectError } from '@connectrpc/connect'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BadRequestSchema, ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts'
import { BlobService } from '../../gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { ManifestService } from '../../gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '../../gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { IngestService } from '../../gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { LogService } from '../../gen/modelkeep/audit/v1/log_service_pb.ts'
import { access } from '../../gen/modelkeep/common/v1/access_pb.ts'
import { AliasService } from '../../gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { EvaluationService } from '../../gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { GateService } from '../../gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { IdentityService } from '../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ModelService } from '../../gen/modelkeep/metadata/v1/model_service_pb.ts'
import { NamespaceService } from '../../gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { PromotionService } from '../../gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { VersionService } from '../../gen/modelkeep/metadata/v1/version_service_pb.ts'
import type { ServiceName } from '../../services/lib/settings.ts'
import { runSql } from '../support/database.ts'
import { createModel, createVersion } from '../support/journey.ts'
import { minioSettings } from '../support/minio.ts'
import { startSuite, type Suite } from '../support/suite.ts'

let suite: Suite
beforeAll(async () => {
  suite = await startSuite(await minioSettings())
  await createModel(suite, 'vad')
  await createVersion(suite, 'vad', Buffer.from('model'))
})
afterAll(() => suite.stop())

const SERVICES = [
  NamespaceService,
  ModelService,
  VersionService,
  AliasService,
  EvaluationService,
  GateService,
  PromotionService,
  IdentityService,
  BlobService,
  UploadService,
  ManifestService,
  IngestService,
  LogService,
]

const STRINGS = [
  'x'.repeat(70_000),
  '../../etc/passwd',
  `'; drop table model; --`,
  '\u0000',
  'a\u202Eb',
  '\uFFFF😀',
  ' ',
  '*',
  'sha256:' + 'A'.repeat(64),
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  '${jndi:ldap://x}',
  '((((((((((((((((((((((((((((',
]
const NUMBERS = [-1, 0, 2_147_483_647, -2_147_483_648]
const BIG_NUMBERS = [-1n, 9_223_372_036_854_775_807n, -9_223_372_036_854_775_808n]
const DOUBLES = [Number.NaN, Number.POSITIVE_INFINITY, -0, 1e308]

describe.each(SERVICES)('$typeName', (service) => {
  const unary = service.methods.filter(({ methodKind }) => methodKind === 'unary' || methodKind === 'server_streaming')
  test.each(unary)('$name refuses hostile input with a reason and writes nothing', async (method) => {
    for (const { request, what } of hostileRequests(method.input)) {
      const before = await written()
      const error = await call(method, request)
      if (error === undefined) continue
      assertReasoned(error, what)
      expect(await written(), what).toBe(before)
    }
  })
})

test.each([
  ['GateService/CreateGate', { name: 'a', rules: { aliasPattern: 'a', approvals: 2 } }, 'key "approvals" is unknown'],
  ['PromotionService/ListPromotions', { state: 'PENDING' }, 'PENDING'],
])('JSON of %s that says what nobody asked for is refused, not left out', async (path, request, why) => {
  const before = await written()
  const answer = await fetch(`${suite.processes.metadata.address}/modelkeep.metadata.v1.${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${suite.adminToken}` },
    body: JSON.stringify(request),
  })
  expect(await answer.json()).toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining(why) as string,
  })
  expect(await written()).toBe(before)
})

test('the streams of an upload refuse hostile headers with a reason and write nothing', async () => {
  const before = await written()
  for (const method of [BlobService.method.uploadBlob, UploadService.method.writePart]) {
    const header = method.input.fields.find(({ localName }) => localName === 'header')!
    for (const { request: value, what } of hostileRequests(header.message!)) {
      const client = suite.client(method.parent as typeof BlobService) as unknown as Record<
        string,
        (messages: AsyncIterable<unknown>) => Promise<unknown>
      >
      const error = await client[method.localName]!(messages({ message: { case: 'header', value } })).then(
        () => undefined,
        (thrown: unknown) => ConnectError.from(thrown),
      )
      expect(error, what).toBeDefined()
      assertReasoned(error!, what)
    }
  }
  expect(await written()).toBe(before)
})

function assertReasoned(error: ConnectError, what: string): void {
  expect([Code.Internal, Code.Unknown, Code.DataLoss, Code.Unavailable], `${what}: ${error.message}`).not.toContain(
    error.code,
  )
  // The codec's own refusal (a text that is no UTF-8, a message over the limit) comes before the handler.
  if (error.code === Code.ResourceExhausted) return
  const [info] = error.findDetails(ErrorInfoSchema)
  expect(info?.domain, `${what}: ${error.message}`).toBe('modelkeep')
  if (error.code !== Code.InvalidArgument || !['FIELD_INVALID', 'LIMIT_EXCEEDED'].includes(info!.reason)) return
  const [violation] = error.findDetails(BadRequestSchema)[0]!.fieldViolations
  expect(violation!.field, what).toMatch(/^[a-z_]+/)
  expect(violation!.description, what).not.toBe('')
}

async function call(method: DescMethod, request: Message): Promise<ConnectError | undefined> {
  const client = suite.client(method.parent as typeof LogService, callerOf(method)) as unknown as Record<
    string,
    (input: Message, options: { timeoutMs: number }) => unknown
  >
  try {
    const answer = client[method.localName]!(request, { timeoutMs: 15_000 })
    // Of an endless stream, the first answer is enough.
    if (method.methodKind === 'server_streaming') for await (const _ of answer as AsyncIterable<unknown>) break
    else await answer
    return undefined
  } catch (error) {
    return ConnectError.from(error)
  }
}

/** RPCs between the services are tried with the token of a service that may call them. */
function callerOf(method: DescMethod): { token?: string } {
  const [service] = getOption(method, access).services
  return service ? { token: suite.serviceTokens[service as ServiceName] } : {}
}

/** How many events were written so far, less failed attempts: every governed change has one. */
async function written(): Promise<string> {
  const [row] = await runSqlOnce(`select
    (select count(*) from metadata.outbox where event ->> 'type' <> 'attempt.failed.v1') as metadata,
    (select count(*) from artifact.outbox where event ->> 'type' <> 'attempt.failed.v1') as artifact`)
  return JSON.stringify(row)
}

const runSqlOnce = (statement: string) => runSql(suite.databaseUrl, statement)

async function* messages(...all: unknown[]): AsyncIterable<unknown> {
  yield* all
}

interface Hostile {
  request: Message
  what: string
}

/** The empty request, and for every field down to the third level each hostile value alone. */
function hostileRequests(input: DescMessage): Hostile[] {
  return [{ request: create(input), what: 'empty' }, ...mutations(input, 3)]
}

function mutations(input: DescMessage, depth: number): Hostile[] {
  if (depth === 0 || input.typeName.startsWith('google.protobuf.')) return []
  return input.fields.flatMap((field) =>
    hostileValues(field, depth).map(({ value, what }) => {
      const request = create(input)
      const view = reflect(input, request)
      if (field.fieldKind === 'list') view.get(field).add(value)
      else if (field.fieldKind === 'map') view.get(field).set(value, '')
      else view.set(field, value)
      return { request, what: `${field.name} ${what}` }
    }),
  )
}

function hostileValues(field: DescField, depth: number): { value: unknown; what: string }[] {
  const wrap = (values: unknown[]) => values.map((value) => ({ value, what: `= ${String(value).slice(0, 40)}` }))
  if (field.enum) return wrap([99, -1])
  if (field.message) {
    const message = field.message
    const below = [{ request: create(message), what: '{}' }, ...mutations(message, depth - 1)]
    return below.map(({ request, what }) => ({ value: reflect(message, request), what: `. ${what}` }))
  }
  const type = field.fieldKind === 'map' ? field.mapKey : field.scalar
  switch (type) {
    case ScalarType.STRING:
      return wrap(STRINGS)
    case ScalarType.BYTES:
      return wrap([new Uint8Array(0), new Uint8Array(1000)])
    case ScalarType.INT64:
      return wrap(BIG_NUMBERS)
    case ScalarType.DOUBLE:
      return wrap(DOUBLES)
    case ScalarType.BOOL:
      return wrap([true])
    default:
      return wrap(NUMBERS)
  }
}
