// Blocks of memory for bytes on their way through the process. New memory costs page faults and, lying outside of V8's
// heap, collections of the whole heap: a third of a download's CPU time. So whoever has sent the bytes of a block gives
// them back. Nobody must: a block that nobody gives back is garbage like any other memory.

export const BLOCK_BYTES = 128 * 1024
/** What is kept for later. */
const MAX_FREE = 256

interface Loan {
  block: Buffer
  /** Bytes that were not given back. */
  left: number
  /** Nothing more of the block will be lent. */
  isWhole: boolean
}

const free: Buffer[] = []
const loans = new WeakMap<ArrayBufferLike, Loan>()

export function takeBlock(): Buffer {
  const block = free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES)
  loans.set(block.buffer, { block, left: 0, isWhole: false })
  return block
}

/** Bytes of a block, which nobody writes to any more. */
export function lend(block: Buffer, start: number, end: number): Buffer {
  loans.get(block.buffer)!.left += end - start
  return block.subarray(start, end)
}

/** Says that no more of the block will be lent. */
export function seal(block: Buffer): void {
  const loan = loans.get(block.buffer)!
  loan.isWhole = true
  reuse(loan)
}

/** To be called once for each byte, when nobody reads it any more. Bytes that were not lent are let be. */
export function giveBack(bytes: Uint8Array): void {
  const loan = loans.get(bytes.buffer)
  if (!loan) return
  loan.left -= bytes.length
  reuse(loan)
}

function reuse({ block, left, isWhole }: Loan): void {
  if (left > 0 || !isWhole || !loans.delete(block.buffer)) return
  if (free.length < MAX_FREE) free.push(block)
}
