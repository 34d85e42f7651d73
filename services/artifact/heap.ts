// When V8 collects garbage while bytes pass through.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { countBuffersInHeapLimit } from '#lib/process/heap.ts'

const MIB = 1024 * 1024
/** Of buffers, beyond those that are accounted for: windows of connections, messages on their way, and garbage. */
const BESIDE = 32 * MIB
/** Looking costs half a millisecond, a collection of what is young three, of everything tens. */
const LOOK_EVERY = 8 * MIB
const COLLECT_EVERY = 64 * MIB

type Collect = (options: { type: 'minor' | 'major' }) => void

let passed = 0
/** What the last thorough collection has left. */
let left = 0
let collect: Collect = () => {}

/** What is collected less often is far too large where much is held: what goes beyond is collected by `countPassed`. */
export function boundGarbage(): void {
  countBuffersInHeapLimit()
  setFlagsFromString('--expose-gc')
  collect = runInNewContext('gc') as Collect
}

/** To be told of bytes that came in, and of those that are held by right: what they leave behind is kept within the
 * budget, too. Nearly all of it is young. */
export function countPassed(bytes: number, { limit, used }: { limit: number; used: number }): void {
  passed += bytes
  if (passed < LOOK_EVERY) return
  passed = 0
  const bound = Math.max(limit, used + BESIDE)
  if (process.memoryUsage().arrayBuffers < bound) return
  collect({ type: 'minor' })
  if (process.memoryUsage().arrayBuffers < Math.max(bound, left + COLLECT_EVERY)) return
  collect({ type: 'major' })
  left = process.memoryUsage().arrayBuffers
}
