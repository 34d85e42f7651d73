// Bounds the garbage that transfers leave in memory.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { countBuffersInHeapLimit } from '#lib/process/heap.ts'

const MIB = 1024 * 1024
/** Bytes of buffers beyond the budget: windows of connections, messages in transit, and garbage. */
const OVERHEAD = 32 * MIB
/** Bytes between two checks. A check takes half a millisecond, a minor collection three, a major one tens. */
const CHECK_EVERY = 8 * MIB
const COLLECT_EVERY = 64 * MIB

type Collect = (options: { type: 'minor' | 'major' }) => void

/** Bytes since the last check. */
let received = 0
/** Bytes of buffers after the last major collection. */
let left = 0
let collect: Collect = () => {}

/** Makes V8 collect less often, and lets `countReceived` collect when buffers exceed their bound. */
export function boundGarbage(): void {
  countBuffersInHeapLimit()
  setFlagsFromString('--expose-gc')
  collect = runInNewContext('gc') as Collect
}

/** Counts bytes that were received, and collects garbage when all buffers together exceed the budget. Nearly all of the
 * garbage is young, so a minor collection comes first. */
export function countReceived(bytes: number, { limit, used }: { limit: number; used: number }): void {
  received += bytes
  if (received < CHECK_EVERY) return
  received = 0
  const bound = Math.max(limit, used + OVERHEAD)
  if (process.memoryUsage().arrayBuffers < bound) return
  collect({ type: 'minor' })
  if (process.memoryUsage().arrayBuffers < Math.max(bound, left + COLLECT_EVERY)) return
  collect({ type: 'major' })
  left = process.memoryUsage().arrayBuffers
}
