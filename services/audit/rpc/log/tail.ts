// The end of the log, for all who watch it in this process: they share one look at the head every half second, and
// are woken at once by what this process appends.

export interface Tail {
  /** The log has grown to `size`. */
  grow(size: number): void
  /** The log's size, at most half a second old. */
  size(): Promise<number>
  /** Returns when the log has grown, when it is time to look, or when `signal` is aborted. */
  pause(signal: AbortSignal): Promise<void>
}

const LOOK_EVERY_MS = 500
/** Looks of several watchers within this time are one. */
const SHARED_MS = 400

export function createTail(readSize: () => Promise<number>): Tail {
  let known = 0
  let look = { at: -Infinity, size: Promise.resolve(0) }
  const waiting = new Set<() => void>()
  const learn = (size: number): void => void (known = Math.max(known, size))
  return {
    grow(size) {
      learn(size)
      for (const wake of waiting) wake()
    },
    async size() {
      const now = performance.now()
      if (now - look.at > SHARED_MS) look = { at: now, size: readSize() }
      learn(await look.size)
      return known
    },
    pause(signal) {
      return new Promise((resolve) => {
        const end = (): void => {
          clearTimeout(timer)
          waiting.delete(end)
          signal.removeEventListener('abort', end)
          resolve()
        }
        const timer = setTimeout(end, LOOK_EVERY_MS)
        waiting.add(end)
        signal.addEventListener('abort', end)
        if (signal.aborted) end()
      })
    },
  }
}
