// Bounded concurrency with abort signals. It is our own code because the first failure must abort the work in flight, wait for it
// to end, and only then be thrown, and because a semaphore must count bytes as well as calls.

/** Runs `work` for every item, at most `width` at once. The first failure aborts the others and is thrown after they ended. */
export async function forEach<T>(
  items: Iterable<T>,
  width: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController()
  const together = AbortSignal.any([signal, stop.signal])
  const iterator = items[Symbol.iterator]()
  const failures: unknown[] = []
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done && !together.aborted; next = iterator.next()) {
      try {
        await work(next.value, together)
      } catch (error) {
        failures.push(error)
        stop.abort(error)
      }
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
  signal.throwIfAborted()
  if (failures.length > 0) throw failures[0]
}

/** A counting semaphore. Callers are served in order. */
export class Semaphore {
  #free: number
  readonly #queue: { slots: number; admit: () => void }[] = []

  constructor(count: number) {
    this.#free = count
  }

  /** Waits for `slots` of the semaphore, and holds them while `work` runs. `slots` must not exceed the count. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>, slots = 1): Promise<T> {
    await new Promise<void>((admit) => {
      this.#queue.push({ slots, admit })
      this.#admit()
    })
    try {
      signal.throwIfAborted()
      return await work()
    } finally {
      this.#free += slots
      this.#admit()
    }
  }

  #admit(): void {
    for (let next = this.#queue[0]; next && next.slots <= this.#free; next = this.#queue[0]) {
      this.#free -= next.slots
      this.#queue.shift()
      next.admit()
    }
  }
}
