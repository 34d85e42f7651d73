/** Does `work` for every item, at most `width` at once. The first failure stops the others and is thrown. */
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

/** A bound on what is under way at once, however many ask. First come, first served. */
export class Slots {
  #free: number
  readonly #line: { slots: number; admit: () => void }[] = []

  constructor(count: number) {
    this.#free = count
  }

  /** Waits for so many slots, and holds them while `work` runs. There must be as many. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>, slots = 1): Promise<T> {
    await new Promise<void>((admit) => {
      this.#line.push({ slots, admit })
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
    for (let next = this.#line[0]; next && next.slots <= this.#free; next = this.#line[0]) {
      this.#free -= next.slots
      this.#line.shift()
      next.admit()
    }
  }
}
