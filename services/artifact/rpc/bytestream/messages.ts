// Reading the stream of google.bytestream's Write: one name, and bytes without a gap from the first offset on.
import type { WriteRequest } from '#gen/google/bytestream/bytestream_pb.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { Chunk } from '#lib/byte-streams/chunk.ts'
import { fail, failField } from '#lib/errors/errors.ts'
import { PatientReader } from '../streaming/receive.ts'

/** How long to wait for the stream's end after `finish_write`: clients that never end it get their answer, too. */
const END_WITHIN_MS = 1_000

export interface IncomingWrite {
  resourceName: string
  /** Where the first byte belongs. */
  offset: bigint
  /** Set by `chunks`: the client said that this was all. */
  finished: boolean
  /** The bytes as they come, until the client says that this was all, or ends the stream. */
  chunks: AsyncGenerator<Chunk>
}

/** Reads the first message; the bytes follow as they are asked for. Throws STREAM_INVALID, STREAM_IDLE. */
export async function receiveWrite(
  requests: AsyncIterable<WriteRequest>,
  idleSeconds: number,
  signal: AbortSignal,
): Promise<IncomingWrite> {
  const reader = new PatientReader(requests, idleSeconds, signal)
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
        // Empty ones, too: who keeps a stream open with nothing must be noticed.
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
    failField('write_offset', `must be ${position}, where the bytes before it end, and is ${request.writeOffset}`)
  }
}

async function expectEnd(reader: PatientReader<WriteRequest>): Promise<void> {
  const over = new AbortController()
  const patience = sleep(END_WITHIN_MS, undefined, { signal: over.signal }).catch(() => undefined)
  const after = await Promise.race([reader.next(), patience]).finally(() => over.abort())
  if (after && !after.done) fail('STREAM_INVALID', 'nothing may follow a message with finish_write')
}
