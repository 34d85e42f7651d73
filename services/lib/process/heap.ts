// Garbage collection while the process streams bytes.
import { setFlagsFromString } from 'node:v8'

const FLAG = 'external-memory-accounted-in-global-limit'

/** Counts buffers against the heap limit, which adapts. By default V8 runs a full collection for each 64 MiB of new
 * buffers, which took half of a download's CPU time. */
export function countBuffersInHeapLimit(isEnabled = true): void {
  setFlagsFromString(isEnabled ? `--${FLAG}` : `--no-${FLAG}`)
}
