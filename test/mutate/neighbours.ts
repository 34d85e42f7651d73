// Finds the tests of a source file by the first of these rules that finds any:
//
// 1. the tests that import the file, and those of its room with a noun of its name in theirs (`promotion-votes.ts`:
//    `promotions.test.ts`), or of the name of a file that imports it; for the command, also those with the noun as an
//    argument (`'gate'`);
// 2. the tests of the room that reach the file by the fewest imports, not counting ways through a service's `service.ts` or
//    `main.ts`, which import everything;
// 3. all tests of the room.
//
// Unit tests come first, those of the whole suite last.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { REPOSITORY } from './faults.ts'
import { findRoom, findRoomOfTest } from './rooms.ts'

const LEVELS = ['test/unit/', 'test/service/', 'test/suite/']
/** Words of file names that describe a place and not a subject. */
const PLACES = new Set(['main', 'index', 'service', 'store', 'rpc', 'domain', 'present', 'row', 'test', 'change', 'to'])

export interface TestFile {
  path: string
  text: string
  /** The number of imports to each reachable file. */
  distances: Map<string, number>
}

export function readTests(files: readonly string[]): TestFile[] {
  const levelOf = (path: string): number => LEVELS.findIndex((level) => path.startsWith(level))
  return files
    .filter((path) => path.endsWith('.test.ts') && levelOf(path) !== -1)
    .toSorted((a, b) => levelOf(a) - levelOf(b))
    .map((path) => ({ path, text: read(path), distances: measure(path) }))
}

export function findNeighbours(file: string, tests: readonly TestFile[], isWide = false): string[] {
  const room = findRoom(file)
  const own = tests.filter(({ path }) => findRoomOfTest(path) === room)
  const around = [file, ...importersOf(file, own)]
  const near = tests.filter(
    (test) => test.distances.get(file) === 1 || (own.includes(test) && around.some((path) => sharesNoun(path, test))),
  )
  if (isWide) return [...new Set([...near, ...own])].map(({ path }) => path)
  if (near.length > 0) return near.map(({ path }) => path)
  const least = Math.min(...own.map(({ distances }) => distances.get(file) ?? Infinity))
  const nearest = own.filter(({ distances }) => distances.get(file) === least)
  return (nearest.length > 0 ? nearest : own).map(({ path }) => path)
}

/** The files of the room that import the file, among those that its tests reach. */
function importersOf(file: string, tests: readonly TestFile[]): string[] {
  const reached = new Set(tests.flatMap(({ distances }) => [...distances.keys()]))
  return [...reached].filter((path) => findRoom(path) === findRoom(file) && importsOf(path).includes(file))
}

function sharesNoun(file: string, { path, text }: TestFile): boolean {
  const own = new Set(nounsOf(path))
  const nouns = nounsOf(file)
  if (nouns.some((noun) => own.has(noun))) return true
  return file.startsWith('clients/cli/commands/') && nouns.some((noun) => text.includes(`'${noun}'`))
}

/** The words of a file's name, in the singular. */
export function nounsOf(path: string): string[] {
  const name = path.slice(path.lastIndexOf('/') + 1).replace(/(\.test)?\.ts$/, '')
  return name
    .split('-')
    .map((word) => word.replace(/([^s])s$/, '$1'))
    .filter((word) => !PLACES.has(word))
}

function measure(test: string): Map<string, number> {
  const distances = new Map([[test, 0]])
  // The iteration of a map includes entries that are added meanwhile.
  for (const [path, distance] of distances) {
    if (/^services\/\w+\/(service|main)\.ts$/.test(path)) continue
    for (const imported of importsOf(path)) {
      if (!distances.has(imported)) distances.set(imported, distance + 1)
    }
  }
  return distances
}

const imports = new Map<string, string[]>()

function importsOf(path: string): string[] {
  const known = imports.get(path)
  if (known) return known
  const found = [...read(path).matchAll(/(?:from|import\(|import|new URL\() ?'([^']+\.ts)'/g)]
    .map(([, specifier = '']) => resolve(path, specifier))
    .filter((imported) => existsSync(join(REPOSITORY, imported)))
  imports.set(path, found)
  return found
}

function resolve(from: string, specifier: string): string {
  if (specifier.startsWith('#lib/')) return specifier.replace('#lib/', 'services/lib/')
  return specifier.startsWith('.') ? join(dirname(from), specifier) : specifier
}

function read(path: string): string {
  return existsSync(join(REPOSITORY, path)) ? readFileSync(join(REPOSITORY, path), 'utf8') : ''
}
