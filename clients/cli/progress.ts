// Progress bars on stderr: one for everything, one more for each large file. Nothing where nobody looks.
import type { MultiBar, SingleBar } from 'cli-progress'
import { bytes } from './output.ts'

const LARGE_BYTES = 16 * 1024 * 1024
const LABEL_WIDTH = 28

export interface Progress {
  /** Announces a file; `done` bytes of it need no work any more. */
  begin(name: string, size: number, done?: number): void
  /** Negative where work has to be done again. */
  advance(name: string, count: number): void
  end(name: string): void
  close(): void
}

const SILENT: Progress = { begin() {}, advance() {}, end() {}, close() {} }

export async function openProgress(action: string, total: number, json: boolean): Promise<Progress> {
  if (json || !process.stderr.isTTY || total === 0) return SILENT
  const { MultiBar, Presets } = await import('cli-progress')
  const bars = new MultiBar(
    {
      format: '{label} {bar} {percentage}% {done} of {size}, {eta_formatted}',
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

  constructor(bars: MultiBar, action: string, total: number) {
    this.#bars = bars
    this.#total = bars.create(total, 0, { label: fit(action), done: bytes(0), size: bytes(total) })
  }

  begin(name: string, size: number, done = 0): void {
    if (size > LARGE_BYTES) this.#files.set(name, this.#bars.create(size, 0, { label: fit(name), size: bytes(size) }))
    this.advance(name, done)
  }

  advance(name: string, count: number): void {
    for (const bar of [this.#total, this.#files.get(name)]) {
      if (!bar) continue
      const value = Math.max(0, (bar as unknown as { value: number }).value + count)
      bar.update(value, { done: bytes(value) })
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

function fit(text: string): string {
  return (text.length > LABEL_WIDTH ? `…${text.slice(1 - LABEL_WIDTH)}` : text).padEnd(LABEL_WIDTH)
}
