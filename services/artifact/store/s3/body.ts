// The body of a request to the S3 server.
import type { Bytes } from '../byte-store.ts'
import { Readable } from 'node:stream'

/** Bytes of a part that are on their way at once. */
const BODY_BUFFER = 1024 * 1024

/** A new stream for each attempt. It gives all it may at once, so that many pieces become one write. */
export function toBody(bytes: Bytes): Buffer | Readable {
  const { chunks, length } = bytes
  const [first] = chunks
  if (length === 0) return Buffer.alloc(0)
  if (first?.length === length) return Buffer.from(first.buffer, first.byteOffset, first.byteLength)
  let next = 0
  return new Readable({
    highWaterMark: BODY_BUFFER,
    read() {
      if (next === chunks.length && bytes.more) return void wait(this)
      while (next < chunks.length) {
        next += 1
        if (!this.push(chunks[next - 1])) return
      }
      if (!bytes.more) this.push(null)
    },
  })
  async function wait(body: Readable): Promise<void> {
    try {
      if (await bytes.more!(next)) body._read(0)
      else body.push(null)
    } catch (error) {
      body.destroy(error as Error)
    }
  }
}
