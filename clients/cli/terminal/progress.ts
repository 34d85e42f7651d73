// Progress bars on stderr, if it is a terminal: one for the whole transfer, and one for each large file.
import type { MultiBar, SingleBar } from 'cli-progress'
import { bytes } from './output.ts'

const LARGE_BYTES = 16 * 1024 * 1024
const LABEL_WIDTH = 28
const RATE_SECONDS = 1

export interface Progress {
  /** Adds a file of which `done` bytes are already transferred. */
  begin(name: string, size: number, done?: number): void
  /** `count`: the bytes that were transferred, negative if they must be transferred again. */
  advance(name: string, count: number): void
  end(name: string): void
  close(): void
}

const NO_PROGRESS: Progress = { begin() {}, advance() {}, end() {}, close() {} }

export async function openProgress(action: string, total: number, json: boolean): Promise<Progress> {
  if (json || !process.stderr.isTTY || total === 0) return NO_PROGRESS
  const { MultiBar, Presets } = await import('cli-progress')
  const bars = new MultiBar(
    {
      format: '{label} {bar} {percentage}% {done} of {size}, {rate}, {eta_formatted}',
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 24,
      autopadding: true,
    },
    Presets.rect,
  )
  return new Bars(bars, action, total)
}

class Bars implements Progress {
  readonly #bars: MultiBar
  readonly #total: SingleBar
  readonly #files = new Map<string, SingleBar>()
  readonly #rates = new WeakMap<SingleBar, Rate>()

  constructor(bars: MultiBar, action: string, total: number) {
    this.#bars = bars
    this.#total = bars.create(total, 0, { label: fit(action), done: bytes(0), size: bytes(total), rate: '' })
  }

  begin(name: string, size: number, done = 0): void {
    if (size > LARGE_BYTES) {
      const payload = { label: fit(name), size: bytes(size), done: bytes(0), rate: '' }
      this.#files.set(name, this.#bars.create(size, 0, payload))
    }
    this.#move(name, done, 0)
  }

  advance(name: string, count: number): void {
    this.#move(name, count, count)
  }

  /** `transferred`: the part of `count` that counts for the rate. */
  #move(name: string, count: number, transferred: number): void {
    for (const bar of [this.#total, this.#files.get(name)]) {
      if (!bar) continue
      const value = Math.max(0, (bar as unknown as { value: number }).value + count)
      const rate = this.#rates.get(bar) ?? new Rate()
      this.#rates.set(bar, rate)
      bar.update(value, { done: bytes(value), rate: `${bytes(rate.add(transferred))}/s` })
    }
  }

  end(name: string): void {
    const bar = this.#files.get(name)
    if (bar) this.#bars.remove(bar)
    this.#files.delete(name)
  }

  close(): void {
    this.#bars.stop()
  }
}

/** Bytes per second over the last seconds. */
class Rate {
  #since = performance.now()
  #count = 0
  #rate = 0

  add(count: number): number {
    this.#count += count
    const seconds = (performance.now() - this.#since) / 1000
    if (seconds < RATE_SECONDS) return this.#rate
    const latest = Math.max(0, this.#count / seconds)
    this.#rate = this.#rate === 0 ? latest : (this.#rate + latest) / 2
    this.#since = performance.now()
    this.#count = 0
    return this.#rate
  }
}

function fit(text: string): string {
  return (text.length > LABEL_WIDTH ? `…${text.slice(1 - LABEL_WIDTH)}` : text).padEnd(LABEL_WIDTH)
}
