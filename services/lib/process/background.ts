import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from './log.ts'

export interface Background {
  /** Lets the work run now rather than at its next time. */
  wake(): void
  /** Ends after the turn under way. */
  stop(): Promise<void>
}

/** Runs `turn`, which does not reject, again and again. It is given the signal that is aborted when it shall end. */
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

/** Runs `work` again and again. A failure is logged, once until it succeeds, and tried again the next time. */
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
      if (!failing) logger.warn({ error, work: name }, 'background work failed; it is tried again')
      failing = true
    }
  })
}
