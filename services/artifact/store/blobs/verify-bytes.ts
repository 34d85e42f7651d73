// Comparison of the stored bytes of a blob with its digest.
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { isByteStoreProblem, type ByteStore } from '../byte-store.ts'
import { requireStore, type Stores } from '../installation.ts'
import type { StoredBlob } from './blob.ts'
import type { Problem } from './quarantine.ts'

/** A blob to verify. `verifyTime` shows whether other callers report wrong bytes meanwhile. */
export type VerifiableBlob = Omit<StoredBlob, 'createTime'> & { verifyTime: string }

export interface VerifyOptions {
  signal: AbortSignal
  /** The maximum rate; default: as fast as the store allows. */
  bytesPerSecond?: number
  /** Called about every 64 MiB. */
  onProgress?: (readBytes: number) => void
}

/** Reads wrong bytes a second time before it reports them: the transfer may be at fault, not the store. Fails while the
 * store is unavailable, because an unavailable store has lost nothing. Returns undefined if the bytes are right. */
export async function verifyBytes(stores: Stores, blob: VerifiableBlob, options: VerifyOptions): Promise<Problem> {
  let problem: Problem
  for (let reads = 0; reads < 2; reads += 1) {
    problem = await compare(stores.bytes, blob, options)
    if (!problem) return undefined
    await requireStore(stores)
  }
  return problem
}

async function compare(bytes: ByteStore, blob: VerifiableBlob, options: VerifyOptions): Promise<Problem> {
  const size = await bytes.stat(blob.objectKey)
  if (size === undefined) return 'missing'
  if (size !== blob.sizeBytes) return 'size'
  try {
    const { digest, partSha256s } = await hashStored(bytes, blob, options)
    return digest === blob.digest && partSha256s.equals(blob.partSha256s) ? undefined : 'content'
  } catch (error) {
    if (isByteStoreProblem(error, 'object gone')) return 'missing'
    throw error
  }
}

const PROGRESS_BYTES = 64 * 1024 * 1024

async function hashStored(bytes: ByteStore, blob: VerifiableBlob, { signal, ...options }: VerifyOptions) {
  const whole = createHash('sha256')
  const parts: Buffer[] = []
  let part = createHash('sha256')
  const begin = performance.now()
  let read = 0
  for await (const chunk of bytes.read(blob.objectKey, 0, blob.sizeBytes, signal)) {
    whole.update(chunk)
    for (let rest = chunk; rest.length > 0;) {
      const piece = rest.subarray(0, blob.partSizeBytes - (read % blob.partSizeBytes))
      part.update(piece)
      rest = rest.subarray(piece.length)
      if (Math.floor(read / PROGRESS_BYTES) < Math.floor((read + piece.length) / PROGRESS_BYTES))
        options.onProgress?.(read + piece.length)
      read += piece.length
      if (read % blob.partSizeBytes !== 0 || read === blob.sizeBytes) continue
      parts.push(part.digest())
      part = createHash('sha256')
    }
    await throttle(begin, read, options.bytesPerSecond, signal)
  }
  parts.push(part.digest())
  return { digest: `sha256:${whole.digest('hex')}`, partSha256s: Buffer.concat(parts) }
}

async function throttle(begin: number, read: number, bytesPerSecond = Infinity, signal: AbortSignal): Promise<void> {
  const early = begin + (read / bytesPerSecond) * 1000 - performance.now()
  if (early > 50) await sleep(early, undefined, { signal })
}
