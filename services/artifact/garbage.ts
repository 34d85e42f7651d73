// When V8 collects garbage while bytes pass through.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { collectLessOften } from '#lib/garbage.ts'

const MIB = 1024 * 1024
/** Of buffers, beyond the budget: windows of connections, messages on their way, and garbage. */
const BESIDE_BUDGET = 48 * MIB
/** Looking costs microseconds, collecting tens of milliseconds. */
const LOOK_EVERY = 8 * MIB
const COLLECT_EVERY = 64 * MIB

let passed = 0
let bound = Infinity
let limit = Infinity
let collect = (): void => {}

/** What is collected less often is far too large where much is held: what goes beyond the budget is collected by
 * `countPassed`. */
export function boundGarbage(budgetBytes: number): void {
  collectLessOften()
  setFlagsFromString('--expose-gc')
  collect = runInNewContext('gc') as () => void
  bound = limit = budgetBytes + BESIDE_BUDGET
}

/** To be told of bytes that came in: what they leave behind is kept within bounds. */
export function countPassed(bytes: number): void {
  passed += bytes
  if (passed < LOOK_EVERY) return
  passed = 0
  if (process.memoryUsage().arrayBuffers < limit) return
  collect()
  limit = Math.max(bound, process.memoryUsage().arrayBuffers + COLLECT_EVERY)
}
