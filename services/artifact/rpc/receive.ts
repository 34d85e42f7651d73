// Reading a client's stream: a header first and once, then chunks, and no long silence.
import { fail, failField, failLimit } from '#lib/errors.ts'
import { MAX_CHUNK_BYTES } from '../domain/blob.ts'

interface Message<H> {
  message: { case: 'header'; value: H } | { case: 'chunk'; value: Uint8Array } | { case: undefined; value?: undefined }
}

export interface Incoming<H> {
  header: H
  chunks: AsyncGenerator<Uint8Array>
}

/** Reads the header; the chunks follow as they are asked for. Throws STREAM_INVALID, STREAM_IDLE. */
export async function receive<H>(messages: AsyncIterable<Message<H>>, idleSeconds: number): Promise<Incoming<H>> {
  const iterator = messages[Symbol.asyncIterator]()
  const next = () => withinIdle(iterator.next(), idleSeconds)
  const first = await next()
  if (first.done || first.value.message.case !== 'header') {
    fail('STREAM_INVALID', 'the first message of the stream must be the header')
  }
  return { header: first.value.message.value, chunks: readChunks(next) }
}

async function* readChunks<H>(next: () => Promise<IteratorResult<Message<H>>>): AsyncGenerator<Uint8Array> {
  for (let result = await next(); !result.done; result = await next()) {
    const { message } = result.value
    if (message.case !== 'chunk') fail('STREAM_INVALID', 'every message after the header must be a chunk')
    if (message.value.length === 0) failField('chunk', 'must not be empty')
    if (message.value.length > MAX_CHUNK_BYTES) failLimit('chunk', MAX_CHUNK_BYTES, 'bytes')
    yield message.value
  }
}

async function withinIdle<T>(next: Promise<T>, seconds: number): Promise<T> {
  const idle = Promise.withResolvers<never>()
  const timer = setTimeout(() => idle.reject(new Error('idle')), seconds * 1000)
  try {
    return await Promise.race([next, idle.promise.catch(() => failIdle(seconds))])
  } finally {
    clearTimeout(timer)
  }
}

function failIdle(seconds: number): never {
  const message = `nothing was received for ${seconds} seconds, so the stream was ended`
  fail('STREAM_IDLE', message, { idle_seconds: String(seconds) })
}

export function failSize(announced: number, actual: number, more: boolean): never {
  const message = more
    ? `more bytes were sent than the ${announced} announced`
    : `${actual} bytes were sent instead of the ${announced} announced`
  fail('SIZE_MISMATCH', message, { expected: String(announced), actual: String(actual) })
}

/** Nothing was sent: the namespace has these bytes, and knows how many they are. */
export function failKnownSize(announced: number, known: number): never {
  const message = `the blob of this digest has ${known} bytes, not the ${announced} announced`
  fail('SIZE_MISMATCH', message, { expected: String(announced), actual: String(known) })
}

export function failDigest(expected: string, actual: string): never {
  fail('DIGEST_MISMATCH', `the bytes have the digest ${actual} instead of ${expected}`, { expected, actual })
}
