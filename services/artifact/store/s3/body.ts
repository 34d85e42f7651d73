// The body of a request to the S3 server.
import type { Part } from '../../domain/part.ts'
import { Readable } from 'node:stream'

/** Bytes of a part that are queued for the socket. */
const QUEUE_BYTES = 1024 * 1024

/** The bytes of a part, for one attempt to send it. A complete part in one piece needs no stream. */
export async function toBody(part: Part): Promise<Buffer | Readable> {
  if (part.length === 0) return Buffer.alloc(0)
  if (!part.isComplete) return streamOf(part)
  const [only, ...others] = (await part.readAll()).pieces
  return others.length === 0 ? Buffer.from(only!.buffer, only!.byteOffset, only!.byteLength) : streamOf(part)
}

/** Pushes as many pieces as there are at once, so that they become one write. */
function streamOf(part: Part): Readable {
  const chunks = part.read()
  let ready: Uint8Array[] = []
  return new Readable({
    highWaterMark: QUEUE_BYTES,
    read() {
      if (ready.length > 0) push(this)
      else void readNext(this)
    },
  })

  function push(body: Readable): void {
    for (let piece = ready.shift(); piece && body.push(piece); piece = ready.shift());
  }

  async function readNext(body: Readable): Promise<void> {
    try {
      const next = await chunks.next()
      if (next.done) return void body.push(null)
      ready = [...next.value.pieces]
      push(body)
    } catch (error) {
      body.destroy(error as Error)
    }
  }
}
