import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from './log.ts'

export interface Background {
  /** Runs the work now instead of at its next time. */
  wake(): void
  /** Stops after the current turn. */
  stop(): Promise<void>
}

/** Runs `turn` repeatedly, `everyMs` after the end of the last one. `turn` must not reject; `stopping` is aborted when it
 * should end. */
export function loop(everyMs: number, turn: (stopping: AbortSignal) => Promise<void>): Background {
  const stopping = new AbortController()
  let awake = new AbortController()
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      awake = new AbortController()
      await turn(stopping.signal)
      const signal = AbortSignal.any([stopping.signal, awake.signal])
      await sleep(everyMs, undefined, { signal }).catch(() => undefined)
    }
  }
  const running = run()
  return {
    wake: () => awake.abort(),
    stop: async () => {
      stopping.abort()
      await running
    },
  }
}

/** Runs `work` repeatedly. The first of successive failures is logged; each is retried at the next interval. */
export function repeat(
  name: string,
  everyMs: number,
  work: (stopping: AbortSignal) => Promise<void>,
  logger: Logger,
): Background {
  let failing = false
  return loop(everyMs, async (stopping) => {
    try {
      await work(stopping)
      failing = false
    } catch (error) {
      if (!failing) logger.warn({ error, work: name }, 'background job failed; it will be retried')
      failing = true
    }
  })
}
