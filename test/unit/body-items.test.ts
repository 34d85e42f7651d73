import { create, toBinary } from '@bufbuild/protobuf'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { AppendEventsRequestSchema, IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { CreateModelRequestSchema, ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { MAX_ITEMS } from '../../services/lib/server/limits/message-items.ts'
import { checkBody, limitItems } from '../../services/lib/server/limits/body-items.ts'

const MAX_BYTES = 4 * 1024 * 1024
const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, '']))
const few = Buffer.from(toBinary(CreateModelRequestSchema, create(CreateModelRequestSchema, { labels: labels(3) })))
const many = Buffer.from(
  toBinary(CreateModelRequestSchema, create(CreateModelRequestSchema, { labels: labels(MAX_ITEMS + 1) })),
)
const json = (count: number) => Buffer.from(JSON.stringify({ labels: labels(count) }))

function envelope(message: Buffer, flags = 0): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt8(flags)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** Sends a body in pieces, and returns what the library gets. */
async function pass(body: Buffer, headers: Record<string, string>, size = 64 * 1024): Promise<Buffer> {
  async function* pieces() {
    for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size)
  }
  const checked = checkBody(
    ModelService.method.createModel,
    { header: new Headers(headers), body: pieces() },
    MAX_BYTES,
  ) as AsyncIterable<Uint8Array>
  const received: Uint8Array[] = []
  for await (const piece of checked) received.push(piece)
  return Buffer.concat(received)
}

const gzip = { 'content-encoding': 'gzip' }
test.each([
  ['gRPC', 'application/grpc', {}, envelope(few), envelope(many)],
  ['gRPC with gzip', 'application/grpc+proto', {}, envelope(gzipSync(few), 1), envelope(gzipSync(many), 1)],
  ['gRPC with JSON', 'application/grpc+json', {}, envelope(json(3)), envelope(json(MAX_ITEMS))],
  ['gRPC-Web', 'application/grpc-web+proto', {}, envelope(few), envelope(many)],
  ['Connect', 'application/proto', {}, few, many],
  ['Connect with gzip', 'application/proto', gzip, gzipSync(few), gzipSync(many)],
  ['Connect with JSON', 'application/json', {}, json(3), json(MAX_ITEMS)],
  ['Connect with JSON and gzip', 'application/json', gzip, gzipSync(json(3)), gzipSync(json(MAX_ITEMS))],
  ['a second message', 'application/grpc', {}, envelope(few), Buffer.concat([envelope(few), envelope(many)])],
])('limits the items of %s, and passes on what is allowed', async (_name, type, headers, allowed, refused) => {
  const sent = { 'content-type': type, ...headers }
  expect((await pass(allowed, sent)).equals(allowed)).toBe(true)
  await expect(pass(refused, sent)).rejects.toThrow(`message has more than ${MAX_ITEMS}`)
})

test.each(['application/grpc', 'application/proto'])('checks %s that arrives byte by byte', async (type) => {
  const wrap = type === 'application/grpc' ? envelope : (message: Buffer) => message
  expect((await pass(wrap(few), { 'content-type': type }, 1)).equals(wrap(few))).toBe(true)
  await expect(pass(wrap(many), { 'content-type': type }, 1)).rejects.toThrow(`message has more than ${MAX_ITEMS}`)
})

test('passes on the start of a message before its end arrives', async () => {
  const head = envelope(many).subarray(0, 5)
  const { promise: never } = Promise.withResolvers<void>()
  async function* pieces() {
    yield head
    await never
  }
  const header = new Headers({ 'content-type': 'application/grpc' })
  const checked = checkBody(ModelService.method.createModel, { header, body: pieces() }, MAX_BYTES)
  const first = await (checked as AsyncGenerator<Uint8Array>).next()
  expect(first).toEqual({ done: false, value: head })
})

test('leaves a body that is too long to the library', async () => {
  const body = Buffer.alloc(2 * MAX_BYTES)
  expect((await pass(body, { 'content-type': 'application/proto' })).length).toBeGreaterThan(MAX_BYTES)
  expect(await pass(body, { 'content-type': 'application/grpc' })).toHaveLength(body.length)
})

test.each([
  ['an empty body', Buffer.alloc(0), {}],
  ['a body that is no gzip', Buffer.from('no gzip'), gzip],
])('passes on %s', async (_name, body, headers) => {
  expect(await pass(body, { 'content-type': 'application/proto', ...headers })).toEqual(body)
})

test('does not limit the events of peers', () => {
  const parents = Array.from({ length: 100 }, () => ({ id: 'x', relation: 'base' }))
  const events = Array.from({ length: 256 }, () => ({ type: 'version.created.v1', details: { parents } }))
  const batch = toBinary(AppendEventsRequestSchema, create(AppendEventsRequestSchema, { events }))
  expect(() => limitItems(IngestService.method.appendEvents, batch)).not.toThrow()
})
