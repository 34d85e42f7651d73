// The end of the log, shared by all watchers of this process: they poll the size together every half second, and are
// woken at once when this process appends.
import { SERVICE_WORK } from '#lib/process/fair-queue.ts'
import { runFor } from '#lib/process/principal.ts'

export interface LogTail {
  /** Records that the log has grown to `size`, and wakes all watchers. */
  recordGrowth(size: number): void
  /** Returns the size of the log, at most half a second old. */
  size(): Promise<number>
  /** Resolves when the log has grown, when the next poll is due, or when `signal` is aborted. */
  waitForGrowth(signal: AbortSignal): Promise<void>
}

const POLL_EVERY_MS = 500
/** Polls by several watchers within this window are coalesced. */
const COALESCE_MS = 400

export function createLogTail(readSize: () => Promise<number>): LogTail {
  let largest = 0
  let poll = { at: -Infinity, size: Promise.resolve(0) }
  const watchers = new Set<() => void>()
  const recordSize = (size: number): void => void (largest = Math.max(largest, size))
  return {
    recordGrowth(size) {
      recordSize(size)
      for (const wake of watchers) wake()
    },
    async size() {
      const now = performance.now()
      if (now - poll.at > COALESCE_MS) poll = { at: now, size: runFor(SERVICE_WORK, readSize) }
      recordSize(await poll.size)
      return largest
    },
    waitForGrowth(signal) {
      return new Promise((resolve) => {
        const end = (): void => {
          clearTimeout(timer)
          watchers.delete(end)
          signal.removeEventListener('abort', end)
          resolve()
        }
        const timer = setTimeout(end, POLL_EVERY_MS)
        watchers.add(end)
        signal.addEventListener('abort', end)
        if (signal.aborted) end()
      })
    },
  }
}
