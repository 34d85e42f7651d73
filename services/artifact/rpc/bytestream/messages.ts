// Reading the stream of google.bytestream.Write: one resource name, and bytes without a gap from the first offset on.
import type { WriteRequest } from '#gen/google/bytestream/bytestream_pb.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { Chunk } from '#lib/byte-streams/chunk.ts'
import { fail, failField } from '#lib/errors/errors.ts'
import { IdleTimeoutReader } from '../streaming/idle-timeout-reader.ts'

/** How long to wait for the end of the stream after `finish_write`. A client that never ends it still gets its answer. */
const MAX_END_WAIT_MS = 1_000

export interface IncomingWrite {
  resourceName: string
  /** Position of the first byte in the blob. */
  offset: bigint
  /** Whether `chunks` has read a message with `finish_write`. */
  finished: boolean
  /** The bytes until `finish_write` or the end of the stream. */
  chunks: AsyncGenerator<Chunk>
}

/** Reads the first message. The bytes are read as the caller iterates. Throws STREAM_INVALID or STREAM_IDLE. */
export async function receiveWrite(
  requests: AsyncIterable<WriteRequest>,
  idleSeconds: number,
  signal: AbortSignal,
): Promise<IncomingWrite> {
  const reader = new IdleTimeoutReader(requests, idleSeconds, signal)
  const first = await reader.next()
  if (first.done) fail('STREAM_INVALID', 'the stream ended before its first message')
  const { resourceName, writeOffset: offset } = first.value
  if (offset < 0n) failField('write_offset', 'must not be negative')
  const incoming: IncomingWrite = { resourceName, offset, finished: false, chunks: readData() }
  return incoming

  async function* readData(): AsyncGenerator<Chunk> {
    let position = offset
    try {
      for (let result: IteratorResult<WriteRequest> = first; !result.done; result = await reader.next()) {
        const { data, finishWrite } = result.value
        check(result.value, resourceName, position)
        position += BigInt(data.length)
        // Empty chunks count as well: the minimum rate applies to a client that sends nothing but empty messages.
        yield new Chunk([data])
        if (finishWrite) {
          incoming.finished = true
          return expectEnd(reader)
        }
      }
    } finally {
      reader.stop()
    }
  }
}

function check(request: WriteRequest, resourceName: string, position: bigint): void {
  if (request.resourceName !== '' && request.resourceName !== resourceName) {
    failField('resource_name', 'must be empty or the same in every message of a stream')
  }
  if (request.writeOffset !== position) {
    failField('write_offset', `must be ${position}, where the previous message ended, not ${request.writeOffset}`)
  }
}

async function expectEnd(reader: IdleTimeoutReader<WriteRequest>): Promise<void> {
  const ended = new AbortController()
  const timeout = sleep(MAX_END_WAIT_MS, undefined, { signal: ended.signal }).catch(() => undefined)
  const after = await Promise.race([reader.next(), timeout]).finally(() => ended.abort())
  if (after && !after.done) fail('STREAM_INVALID', 'no message may follow one with finish_write')
}
