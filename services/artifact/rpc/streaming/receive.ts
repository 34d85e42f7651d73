// Reading the stream of an upload: one header first, then chunks.
import type { Message } from '@bufbuild/protobuf'
import { fromField, type Chunk } from '#lib/byte-streams/chunk.ts'
import { fail, failField, failLimit } from '#lib/errors/errors.ts'
import { MAX_CHUNK_BYTES } from '../../domain/blob.ts'
import { IdleTimeoutReader } from './idle-timeout-reader.ts'

type Incoming<H> = Message & {
  message: { case: 'header'; value: H } | { case: 'chunk'; value: Uint8Array } | { case: undefined; value?: undefined }
}

export interface Received<H> {
  header: H
  chunks: AsyncGenerator<Chunk>
}

/** Reads the header. The chunks are read as the caller iterates. Throws STREAM_INVALID or STREAM_IDLE. */
export async function receive<H>(
  messages: AsyncIterable<Incoming<H>>,
  idleSeconds: number,
  signal: AbortSignal,
): Promise<Received<H>> {
  const reader = new IdleTimeoutReader(messages, idleSeconds, signal)
  const first = await reader.next()
  if (first.done || first.value.message.case !== 'header') {
    reader.stop()
    fail('STREAM_INVALID', 'the first message of the stream must be the header')
  }
  return { header: first.value.message.value, chunks: readChunks(reader) }
}

async function* readChunks<H>(reader: IdleTimeoutReader<Incoming<H>>): AsyncGenerator<Chunk> {
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
