// The output of a mutation run.
import { placeOf, type Fault } from './faults.ts'
import { ROOM_NAMES } from './rooms.ts'
import type { Outcome, Result } from './trial.ts'

const INDENT = ' '.repeat(10)

export function describeResult({ fault, outcome, seconds, why }: Result): string {
  const head = `${outcome.padEnd(INDENT.length)}${placeOf(fault)}  ${fault.says} (${seconds.toFixed(1)} s)`
  if (outcome === 'caught') return head
  if (outcome !== 'survived') return `${head}\n${INDENT}${why}`
  return [head, ...describeChange(fault), `${INDENT}green: ${fault.tests.join(', ')}`].join('\n')
}

/** The changed lines of the fault, before and after. */
export function describeChange({ find, replace }: Fault): string[] {
  const before = find.split('\n')
  const after = replace.split('\n')
  while (before.length > 0 && before[0] === after[0]) {
    before.shift()
    after.shift()
  }
  while (before.length > 0 && before.at(-1) === after.at(-1)) {
    before.pop()
    after.pop()
  }
  const mark = (sign: string, lines: string[]): string[] => lines.map((line) => `${INDENT}${sign} ${line.trim()}`)
  return [...mark('-', before), ...mark('+', after)]
}

export function drawTable(results: readonly Result[]): string {
  const rooms = ROOM_NAMES.filter((room) => results.some(({ fault }) => fault.room === room))
  const row = (name: string, of: readonly Result[]): string[] => {
    const count = (outcome: Outcome): number => of.filter((result) => result.outcome === outcome).length
    const late = count('timed out')
    const caught = `${count('caught') + late}${late > 0 ? ` (${late} timed out)` : ''}`
    const seconds = of.reduce((sum, result) => sum + result.seconds, 0)
    return [name, of.length, caught, count('survived'), count('wrong'), seconds.toFixed(0)].map(String)
  }
  const rows = [
    ['room', 'faults', 'caught', 'survivors', 'wrong', 'seconds'],
    ...rooms.map((room) =>
      row(
        room,
        results.filter(({ fault }) => fault.room === room),
      ),
    ),
    row('all', results),
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)))
  return rows
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
