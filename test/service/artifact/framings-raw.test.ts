// Raw HTTP/2: the zero-copy handler answers every request as the general adapter does.
import { create, toBinary } from '@bufbuild/protobuf'
import { afterAll, describe, expect, test } from 'vitest'
import {
  BlobService,
  DownloadBlobRequestSchema,
  DownloadBlobResponseSchema,
  UploadBlobRequestSchema,
} from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes } from '../../support/bytes.ts'
import { envelope, field, RawClient, readAnswer, readMessages, type RawAnswer } from '../../support/raw-grpc.ts'

const store = await STORES[1]![1]()
const artifact = await startArtifact(store)
const general = await artifact.addReplica({ framing: 'general' })
const fast = new RawClient(artifact.address)
const oracle = new RawClient(general.address)
afterAll(async () => {
  fast.close()
  oracle.close()
  await general.stop()
  await artifact.stop()
})

const { uploadBlob, downloadBlob } = BlobService.method
const bytes = makeBytes(300_000, 'raw')
const chunk = envelope(field(2, bytes))

function header(of: Uint8Array, announced: { sizeBytes?: bigint; namespace?: string; digest?: string } = {}): Buffer {
  const value = { namespace: 'default', digest: digestOf(of), sizeBytes: BigInt(of.length), ...announced }
  return envelope(
    toBinary(UploadBlobRequestSchema, create(UploadBlobRequestSchema, { message: { case: 'header', value } })),
  )
}

function announce(length: number): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(length, 1)
  return head
}

/** The parts of an answer that must be the same from both. */
function essence({ headers, trailers, body }: RawAnswer): object {
  const { date: _date, ...rest } = headers
  return { headers: rest, trailers: { ...trailers }, body: body.toString('hex') }
}

const same = { 'x-request-id': 'same' }

describe('reports the same error for a bad upload', () => {
  const big = makeBytes(MIB + 1, 'big')
  test.each<[string, Uint8Array[], Record<string, string>?]>([
    ['nothing at all', []],
    ['a chunk before the header', [chunk]],
    ['two headers', [header(bytes), header(bytes)]],
    ['an empty message', [header(bytes), envelope(Buffer.alloc(0))]],
    ['an empty chunk', [header(bytes), envelope(field(2, Buffer.alloc(0)))]],
    ['a chunk over the limit', [header(big), envelope(field(2, big))]],
    ['four announced gibibytes', [header(bytes), announce(0xffff_ffff)]],
    ['a byte more than a message may have', [header(bytes), announce(4 * MIB + 1)]],
    ['a compressed message', [header(bytes), envelope(field(2, bytes), 1)]],
    ['a message that is cut off', [header(bytes), chunk.subarray(0, 1000)]],
    ['an envelope that is cut off', [header(bytes), chunk.subarray(0, 3)]],
    ['garbage after the end', [header(bytes), chunk, Buffer.from('abc')]],
    ['a message that is no message', [header(bytes), envelope(Buffer.from([0x0a, 0xff, 0xff, 0x03, 0x01]))]],
    ['a chunk that claims to be longer than its message', [header(bytes), envelope(Buffer.from([0x12, 0x7f, 1, 2]))]],
    ['more bytes than announced', [header(bytes, { sizeBytes: 299_999n }), chunk]],
    ['fewer bytes than announced', [header(bytes, { sizeBytes: 300_001n }), chunk]],
    ['another digest', [header(bytes, { digest: digestOf(big) }), chunk]],
    ['a namespace of others', [header(bytes, { namespace: 'other' }), chunk]],
    ['no namespace', [header(bytes, { namespace: '../x' }), chunk]],
    ['a deadline that is none', [header(bytes), chunk], { 'grpc-timeout': '5 parsecs' }],
    ['an unknown compression', [header(bytes), chunk], { 'grpc-encoding': 'br' }],
    ['no token', [header(bytes), chunk], { authorization: '' }],
    ['an unknown token', [header(bytes), chunk], { authorization: 'Bearer mk_unknown' }],
    ['another content type', [header(bytes), chunk], { 'content-type': 'text/plain' }],
    ['JSON that is none', [header(bytes), chunk], { 'content-type': 'application/grpc+json' }],
  ])('%s', async (_name, buffers, headers = {}) => {
    const answer = await fast.call(uploadBlob, buffers, { ...same, ...headers })
    expect(essence(answer)).toEqual(essence(await oracle.call(uploadBlob, buffers, { ...same, ...headers })))
    expect(answer.trailers['grpc-status'] ?? answer.headers[':status']).not.toBe('0')
  })
})

describe('accepts an unusual upload', () => {
  /** A chunk whose length is encoded in more bytes than necessary. */
  const overlong = (of: Buffer): Buffer =>
    Buffer.concat([Buffer.from([0x12, 0x80 | (of.length & 0x7f), 0x80 | (of.length >> 7), 0x80, 0]), of])
  const news = field(9, Buffer.from('new'))
  test.each<[string, (of: Buffer) => Uint8Array[]]>([
    ['byte by byte at the ends of envelope, tag and length', (of) => cutFinely(envelope(field(2, of)))],
    ['with unknown fields before the chunk', (of) => [envelope(Buffer.concat([news, field(2, of)]))]],
    ['with unknown fields after the chunk', (of) => [envelope(Buffer.concat([field(2, of), news]))]],
    ['with two chunks in a message', (of) => [envelope(Buffer.concat([field(2, Buffer.from('1st')), field(2, of)]))]],
    ['with a length that is too long', (of) => [envelope(overlong(of))]],
    ['in many small messages at once', (of) => [Buffer.concat(cutToMessages(of, 97))]],
    ['in messages across frames', (of) => splitInto(Buffer.concat(cutToMessages(of, 500)), 777)],
  ])('%s', async (name, build) => {
    for (const [framing, client] of [
      ['zero-copy', fast],
      ['general', oracle],
    ] as const) {
      const unusual = makeBytes(10_000, `${name} ${framing}`)
      const { trailers } = await client.call(uploadBlob, [header(unusual), ...build(unusual)])
      expect([framing, trailers['grpc-status']]).toEqual([framing, '0'])
      const stored = await download(artifact.client(BlobService), { digest: digestOf(unusual) })
      expect(stored.equals(unusual)).toBe(true)
    }
  })
})

test('sends the same download, byte by byte, with the same trailers', async () => {
  const whole = makeBytes(3 * MIB + 77, 'whole')
  await artifact.client(BlobService).uploadBlob(blobMessages(whole))
  for (const range of [
    {},
    { offset: 1_000_000n, length: 2_000_000n },
    { offset: BigInt(whole.length) },
    { offset: 99_999_999n },
  ]) {
    const request = create(DownloadBlobRequestSchema, { digest: digestOf(whole), ...range })
    const buffers = [envelope(toBinary(DownloadBlobRequestSchema, request))]
    const answer = await fast.call(downloadBlob, buffers, same)
    expect(essence(answer)).toEqual(essence(await oracle.call(downloadBlob, buffers, same)))
    const chunks = readMessages(DownloadBlobResponseSchema, answer.body).map(({ message }) => message)
    const sizes = chunks.map(({ case: kind, value }) => (kind === 'chunk' ? value.length : 0))
    expect(Math.max(0, ...sizes)).toBeLessThanOrEqual(MIB)
  }
})

test('reports the same error for a unary request of two messages or none', async () => {
  const request = envelope(toBinary(DownloadBlobRequestSchema, create(DownloadBlobRequestSchema, {})))
  for (const buffers of [[], [request, request]]) {
    const answer = await fast.call(downloadBlob, buffers, same)
    expect(essence(answer)).toEqual(essence(await oracle.call(downloadBlob, buffers, same)))
  }
})

test('leaves JSON, gRPC-Web, Connect and HTTP/1.1 to the general adapter', async () => {
  await artifact.client(BlobService).uploadBlob(blobMessages(bytes))
  const before = artifact.zeroCopyCalls()
  const path = `${artifact.address}/${BlobService.typeName}/DownloadBlob`
  const message = envelope(Buffer.from(JSON.stringify({ digest: digestOf(bytes) })))
  const binary = envelope(
    toBinary(DownloadBlobRequestSchema, create(DownloadBlobRequestSchema, { digest: digestOf(bytes) })),
  )
  for (const [type, body] of [
    ['application/connect+json', message],
    ['application/connect+proto', binary],
    ['application/grpc-web+proto', binary],
    ['application/grpc-web+json', message],
  ] as const) {
    const answer = await fetch(path, {
      method: 'POST',
      body: new Uint8Array(body),
      headers: { 'content-type': type, authorization: 'Bearer alice' },
    })
    expect([type, answer.status]).toEqual([type, 200])
    expect((await answer.arrayBuffer()).byteLength).toBeGreaterThan(bytes.length)
    if (!type.includes('web')) continue
    const { trailers } = await fast.call(downloadBlob, [binary], { 'content-type': 'application/grpc+proto' })
    expect(trailers['grpc-status']).toBe('0')
  }
  expect(artifact.zeroCopyCalls() - before).toBe(2)
})

test('ends a call at its deadline when the client sends nothing more', async () => {
  const stream = fast.open(uploadBlob, { 'grpc-timeout': '100m' })
  const answer = readAnswer(stream)
  stream.write(header(makeBytes(10, 'deadline')))
  expect((await answer).trailers['grpc-status']).toBe('4')
})

function cutFinely(framed: Buffer): Buffer[] {
  return [...splitInto(framed.subarray(0, 12), 1), framed.subarray(12, -3), ...splitInto(framed.subarray(-3), 1)]
}

function cutToMessages(of: Buffer, length: number): Buffer[] {
  return splitInto(of, length).map((part) => envelope(field(2, part)))
}

function splitInto(whole: Buffer, length: number): Buffer[] {
  return Array.from({ length: Math.ceil(whole.length / length) }, (_, at) =>
    whole.subarray(at * length, (at + 1) * length),
  )
}
