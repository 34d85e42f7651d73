// The output of a benchmark: a line for each figure with its target, and exit code 1 if a target is missed.
import { writeFile } from 'node:fs/promises'

export interface Figure {
  name: string
  value: number
  unit: string
  /** `{ least: 5000 }` or `{ most: 10 }`; empty if the figure is only for comparison. */
  target: { least?: number; most?: number }
}

export class Figures {
  readonly all: Figure[] = []

  report(name: string, value: number, unit: string, target: Figure['target'] = {}): void {
    const figure = { name, value, unit, target }
    this.all.push(figure)
    const { least, most } = target
    const wanted = least === undefined ? (most === undefined ? '' : `at most ${most}`) : `at least ${least}`
    const shown = value >= 100 ? Math.round(value).toString() : value.toFixed(2)
    console.log(`${name.padEnd(64)}${`${shown} ${unit}`.padStart(14)}  ${wanted}${isMissed(figure) ? '  MISSED' : ''}`)
  }

  /** Prints the missed targets, and sets the exit code to 1 if there are any. */
  async conclude(more: object, file: string | undefined): Promise<void> {
    if (file) await writeFile(file, `${JSON.stringify({ ...more, figures: this.all }, null, 2)}\n`)
    const missed = this.all.filter(isMissed)
    const names = missed.map(({ name }) => name).join('; ')
    console.log(missed.length === 0 ? '\nall targets are met' : `\nmissed: ${names}`)
    process.exitCode = missed.length === 0 ? 0 : 1
  }
}

export function median(values: number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)]!
}

export function percentile(values: number[], part: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * part) / 100))]!
}

function isMissed({ value, target: { least = -Infinity, most = Infinity } }: Figure): boolean {
  return !(value >= least && value <= most)
}
