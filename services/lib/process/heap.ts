// How often V8 collects garbage while bytes pass through.
import { setFlagsFromString } from 'node:v8'

const FLAG = 'external-memory-accounted-in-global-limit'

/** By itself V8 collects everything for each 64 MiB of new buffers, which was half of a download's CPU time. This way
 * buffers count against the same limit as the heap, which adapts. */
export function collectLessOften(isWanted = true): void {
  setFlagsFromString(isWanted ? `--${FLAG}` : `--no-${FLAG}`)
}
