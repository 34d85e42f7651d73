// A pool of memory blocks for bytes on their way through the process. New memory costs page faults and, because it lies
// outside of V8's heap, collections of the whole heap: a third of the CPU time of a download. The code that has sent the
// bytes of a block therefore recycles them. A block that is never recycled is collected like any other memory.

export const BLOCK_BYTES = 128 * 1024
/** Blocks that the pool holds: 32 MiB. */
const MAX_FREE = 256

interface BlockInUse {
  block: Buffer
  /** Bytes that were lent and not recycled. */
  lentBytes: number
  /** No more of the block will be lent. */
  isSealed: boolean
}

const free: Buffer[] = []
const inUse = new WeakMap<ArrayBufferLike, BlockInUse>()

export function takeBlock(): Buffer {
  const block = free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES)
  inUse.set(block.buffer, { block, lentBytes: 0, isSealed: false })
  return block
}

/** The bytes from `start` to before `end`, which nobody writes to until they are recycled. */
export function lend(block: Buffer, start: number, end: number): Buffer {
  inUse.get(block.buffer)!.lentBytes += end - start
  return block.subarray(start, end)
}

/** Declares that no more of the block will be lent. */
export function seal(block: Buffer): void {
  const used = inUse.get(block.buffer)!
  used.isSealed = true
  returnToPool(used)
}

/** Call it once for each byte that was lent, when nobody reads it any more. Other bytes are ignored. */
export function recycle(bytes: Uint8Array): void {
  const used = inUse.get(bytes.buffer)
  if (!used) return
  used.lentBytes -= bytes.length
  returnToPool(used)
}

function returnToPool({ block, lentBytes, isSealed }: BlockInUse): void {
  if (lentBytes > 0 || !isSealed || !inUse.delete(block.buffer)) return
  if (free.length < MAX_FREE) free.push(block)
}
