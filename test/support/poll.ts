import { setTimeout as sleep } from 'node:timers/promises'

const LIMIT_MS = 60_000
const EVERY_MS = 50

/** Waits for a condition in programs that are not tests. */
export async function pollUntil(isDone: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + LIMIT_MS
  while (!(await isDone())) {
    if (performance.now() > until) throw new Error(`condition was not met within ${LIMIT_MS} ms`)
    await sleep(EVERY_MS)
  }
}
