import { ConnectError } from '@connectrpc/connect'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameReader, frameChunk, frameMessage, type Frame } from '../../services/lib/byte-streams/frames.ts'
import { envelope, field } from '../support/raw-grpc.ts'

const MIB = 1024 * 1024
const CHUNK = { number: 2, maxBytes: MIB }

function read(stream: Buffer, cuts: number[]): Frame[] {
  const reader = new FrameReader(4 * MIB, CHUNK)
  const frames: Frame[] = []
  let at = 0
  for (const cut of [...cuts.toSorted((a, b) => a - b), stream.length]) {
    reader.read(stream.subarray(at, cut), frames)
    at = cut
  }
  reader.end()
  return frames
}

/** The kind and the bytes of each message. */
function plain(frames: Frame[]): string[] {
  return frames.map((frame) =>
    frame.kind === 'chunk'
      ? `chunk ${Buffer.concat(frame.chunk.pieces).toString('hex')}`
      : `message ${Buffer.from(frame.bytes).toString('hex')}`,
  )
}

test('reads a message of one chunk as a chunk and every other one as a message, however the stream is cut', () => {
  const bytes = fc.uint8Array({ maxLength: 300 })
  const message = fc.oneof(
    bytes.map((chunk) => ({ body: field(2, chunk), chunk: chunk.length > 0 ? chunk : undefined })),
    bytes.map((other) => ({ body: field(1, other), chunk: undefined })),
    bytes.map((chunk) => ({ body: Buffer.concat([field(9, chunk), field(2, chunk)]), chunk: undefined })),
    bytes.map((chunk) => ({ body: Buffer.concat([field(2, chunk), field(2, chunk)]), chunk: undefined })),
    bytes.map((noise) => ({ body: Buffer.concat([Buffer.from([0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]), noise]) })),
    fc.constant({ body: Buffer.alloc(0), chunk: undefined }),
  )
  const stream = fc.array(message, { maxLength: 6 }).chain((messages) => {
    const whole = Buffer.concat(messages.map(({ body }) => envelope(body)))
    return fc.record({
      messages: fc.constant(messages),
      whole: fc.constant(whole),
      cuts: fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 30 }),
    })
  })
  fc.assert(
    fc.property(stream, ({ messages, whole, cuts }) => {
      const expected = messages.map(({ body, ...rest }) => {
        const chunk = (rest as { chunk?: Uint8Array }).chunk
        return chunk ? `chunk ${Buffer.from(chunk).toString('hex')}` : `message ${body.toString('hex')}`
      })
      expect(plain(read(whole, cuts))).toEqual(expected)
    }),
    { numRuns: 500 },
  )
})

test.each([1, 127, 128, 16_383, 16_384, MIB - 64, MIB])(
  'frames a chunk of %d bytes as the general codec does',
  (length) => {
    const chunk = Buffer.alloc(length, 7)
    const framed = Buffer.concat(frameChunk(CHUNK, [chunk.subarray(0, length >> 1), chunk.subarray(length >> 1)]))
    expect(framed.equals(envelope(field(2, chunk)))).toBe(true)
    const [frame] = read(framed, [1, 5, 6, 7])
    expect(frame!.kind).toBe('chunk')
  },
)

test('leaves a chunk over the limit and an empty one to the general codec, which rejects them', () => {
  for (const chunk of [Buffer.alloc(MIB + 1), Buffer.alloc(0)]) {
    expect(read(envelope(field(2, chunk)), [])).toMatchObject([{ kind: 'message' }])
  }
  expect(Buffer.concat(frameMessage(Buffer.from('ab'))).equals(envelope(Buffer.from('ab')))).toBe(true)
})

test('rejects a stream that ends within a frame, at every byte', () => {
  const whole = envelope(field(2, Buffer.from('chunk')))
  for (let length = 1; length < whole.length; length += 1) {
    expect(() => read(whole.subarray(0, length), [])).toThrow('incomplete envelope')
  }
})

test('rejects a message that is announced too large before its bytes arrive, and compression', () => {
  for (const length of [4 * MIB + 1, 0x7fff_ffff, 0xffff_ffff]) {
    const head = Buffer.alloc(5)
    head.writeUInt32BE(length, 1)
    expect(() => read(head, [])).toThrow(ConnectError)
  }
  expect(() => read(envelope(Buffer.from('abc'), 1), [])).toThrow('compressed')
})

test('bytes that arrive one by one use little more memory than their own', () => {
  const reader = new FrameReader(4 * MIB, CHUNK)
  const frames: Frame[] = []
  const stream = envelope(field(2, Buffer.alloc(200_000, 1)))
  for (const byte of stream) reader.read(Buffer.from([byte]), frames)
  const [frame] = frames
  expect(frame?.kind === 'chunk' && frame.chunk.pieces.length).toBeLessThan(10)
})
