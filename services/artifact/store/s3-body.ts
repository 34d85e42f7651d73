// The body of a request to the S3 server.
import { createHash } from 'node:crypto'
import type { Bytes } from './byte-store.ts'
import { Readable } from 'node:stream'

/** Bytes of a part that are on their way at once. */
const BODY_BUFFER = 1024 * 1024

/** A new stream for each attempt. It gives all it may at once, so that many pieces become one write. */
export function toBody(chunks: Uint8Array[]): Buffer | Readable {
  const [first] = chunks
  if (!first) return Buffer.alloc(0)
  if (chunks.length === 1) return Buffer.from(first.buffer, first.byteOffset, first.byteLength)
  let next = 0
  return new Readable({
    highWaterMark: BODY_BUFFER,
    read() {
      while (next < chunks.length) {
        next += 1
        if (!this.push(chunks[next - 1])) return
      }
      this.push(null)
    },
  })
}

export function textBytes(text: string): Bytes {
  const bytes = Buffer.from(text)
  return { chunks: [bytes], length: bytes.length, sha256: createHash('sha256').update(bytes).digest() }
}
