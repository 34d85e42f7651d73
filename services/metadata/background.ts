import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '#lib/log.ts'

export interface Background {
  /** Lets the work run now rather than at its next time. */
  wake(): void
  stop(): Promise<void>
}

/** Runs `work` again and again. A failure is logged, once until it succeeds, and tried again the next time. */
export function repeat(name: string, everyMs: number, work: () => Promise<void>, logger: Logger): Background {
  const stopping = new AbortController()
  let awake = new AbortController()
  let failing = false
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      awake = new AbortController()
      try {
        await work()
        failing = false
      } catch (error) {
        if (!failing) logger.warn({ error, work: name }, 'background work failed; it is tried again')
        failing = true
      }
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
