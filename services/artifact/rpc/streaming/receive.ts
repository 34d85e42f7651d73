// Reading a client's stream: a header first and once, then chunks, and no long silence.
import type { Message } from '@bufbuild/protobuf'
import { fromField, type Chunk } from '#lib/byte-streams/chunk.ts'
import { fail, failField, failLimit, ModelkeepError } from '#lib/errors/errors.ts'
import { MAX_CHUNK_BYTES } from '../../domain/blob.ts'

type Incoming<H> = Message & {
  message: { case: 'header'; value: H } | { case: 'chunk'; value: Uint8Array } | { case: undefined; value?: undefined }
}

export interface Received<H> {
  header: H
  chunks: AsyncGenerator<Chunk>
}

/** Reads the header; the chunks follow as they are asked for. Throws STREAM_INVALID, STREAM_IDLE. */
export async function receive<H>(
  messages: AsyncIterable<Incoming<H>>,
  idleSeconds: number,
  signal: AbortSignal,
): Promise<Received<H>> {
  const reader = new PatientReader(messages, idleSeconds, signal)
  const first = await reader.next()
  if (first.done || first.value.message.case !== 'header') {
    reader.stop()
    fail('STREAM_INVALID', 'the first message of the stream must be the header')
  }
  return { header: first.value.message.value, chunks: readChunks(reader) }
}

async function* readChunks<H>(reader: PatientReader<Incoming<H>>): AsyncGenerator<Chunk> {
  try {
    for (let result = await reader.next(); !result.done; result = await reader.next()) {
      const { message } = result.value
      if (message.case !== 'chunk') fail('STREAM_INVALID', 'every message after the header must be a chunk')
      const chunk = fromField(message.value)
      if (chunk.length === 0) failField('chunk', 'must not be empty')
      if (chunk.length > MAX_CHUNK_BYTES) failLimit('chunk', MAX_CHUNK_BYTES, 'bytes')
      yield chunk
    }
  } finally {
    reader.stop()
  }
}

/** Waits for each message for so long and no longer, and not for a client who has gone. One timer serves the whole
 * stream. */
export class PatientReader<T> {
  readonly #messages: AsyncIterator<T>
  readonly #timer: NodeJS.Timeout
  readonly #signal: AbortSignal
  #giveUp: (reason: unknown) => void = () => {}

  constructor(messages: AsyncIterable<T>, seconds: number, signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', () => this.#giveUp(signal.reason), { once: true })
    this.#messages = messages[Symbol.asyncIterator]()
    this.#timer = setTimeout(() => this.#giveUp(idleError(seconds)), seconds * 1000).unref()
  }

  /** Throws STREAM_IDLE. A refreshed timer runs again even where it had run out while nobody waited. */
  next(): Promise<IteratorResult<T>> {
    return new Promise((resolve, reject) => {
      this.#signal.throwIfAborted()
      this.#giveUp = reject
      this.#timer.refresh()
      this.#messages.next().then(resolve, reject)
    })
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}

function idleError(seconds: number): ModelkeepError {
  const message = `nothing was received for ${seconds} seconds, so the stream was ended`
  return new ModelkeepError('STREAM_IDLE', message, { idle_seconds: String(seconds) })
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
