// New faults, chosen independently of the tests: a seed picks source lines, and a standard fault for each.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { shuffle, type Random } from '../support/random.ts'
import { REPOSITORY, type Fault } from './faults.ts'
import { listFiles } from './copy.ts'
import { findNeighbours, readTests } from './neighbours.ts'
import { applyChange, listChanges, parses, type Change } from './operators.ts'
import { findRoom, type RoomName } from './rooms.ts'

/** The minimum number of faults in a room with enough suitable lines. */
const LEAST_FAULTS = 3

interface Line {
  file: string
  line: number
}

/** Returns `count` faults: a few in every room, the others in proportion to the lines of the rooms. */
export async function pickFreshFaults(
  count: number,
  rooms: readonly RoomName[],
  random: Random,
  isWide = false,
): Promise<Fault[]> {
  const files = await listFiles(REPOSITORY)
  const tests = readTests(files)
  const lines = listLines(files.filter(isSource))
  const shares = distribute(
    count,
    rooms.map((room) => lines.get(room)?.length ?? 0),
  )
  return rooms.flatMap((room, at) => {
    const faults: Fault[] = []
    for (const { file, line } of shuffle(lines.get(room) ?? [], random)) {
      if (faults.length === shares[at]) break
      const source = readSource(file)
      const changes = changesOf(source).filter((change) => change.line === line && parses(applyChange(source, change)))
      if (changes.length === 0) continue
      const change = random.pick(changes)
      faults.push({
        room,
        file,
        ...phrase(source, change),
        tests: findNeighbours(file, tests, isWide),
        says: change.says,
      })
    }
    return faults
  })
}

/** Picks `count` of the sound candidates, with the same share per room as in all candidates. */
export function pickProportionally(
  sound: readonly Fault[],
  candidates: readonly Fault[],
  count: number,
  rooms: readonly RoomName[],
) {
  const shares = distribute(
    count,
    rooms.map((room) => candidates.filter((fault) => fault.room === room).length),
  )
  return rooms.flatMap((room, at) => sound.filter((fault) => fault.room === room).slice(0, shares[at]))
}

/** Hand-written product code, without migrations, which run before a test starts. */
function isSource(path: string): boolean {
  return /^(services|clients)\/.*\.ts$/.test(path) && !path.includes('/migrations/') && !path.endsWith('.test.ts')
}

function listLines(files: readonly string[]): Map<RoomName, Line[]> {
  const lines = new Map<RoomName, Line[]>()
  for (const file of files) {
    const room = findRoom(file)
    if (room === undefined) continue
    const of = readSource(file)
      .split('\n')
      .map((_, at) => ({ file, line: at + 1 }))
    lines.set(room, [...(lines.get(room) ?? []), ...of])
  }
  return lines
}

/** Distributes `count` by weight, with a minimum for each. */
export function distribute(count: number, weights: readonly number[]): number[] {
  const least = Math.min(LEAST_FAULTS, Math.floor(count / weights.length))
  const rest = count - least * weights.length
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  // Rounding at each whole number of the running sum distributes exactly `rest`.
  let sum = 0
  return weights.map((weight) => {
    const before = Math.round((sum / total) * rest)
    sum += weight
    return least + Math.round((sum / total) * rest) - before
  })
}

const sources = new Map<string, string>()

function readSource(file: string): string {
  const source = sources.get(file) ?? readFileSync(join(REPOSITORY, file), 'utf8')
  sources.set(file, source)
  return source
}

const changes = new Map<string, Change[]>()

function changesOf(source: string): Change[] {
  const found = changes.get(source) ?? listChanges(source)
  changes.set(source, found)
  return found
}

/** The change in the format of the lists, with as many preceding lines as make the text unique. */
export function phrase(source: string, change: Change): Pick<Fault, 'find' | 'replace'> {
  const changed = applyChange(source, change)
  let start = source.lastIndexOf('\n', change.start - 1) + 1
  const end = source.indexOf('\n', change.end)
  const grown = changed.length - source.length
  while (start > 0 && source.split(source.slice(start, end)).length > 2) start = source.lastIndexOf('\n', start - 2) + 1
  return { find: source.slice(start, end), replace: changed.slice(start, end + grown) }
}
