// One-line faults of the product, each with the tests that must catch it, from faults/<room>.json beside this file.
import { existsSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { ROOM_NAMES, type RoomName } from './rooms.ts'

export interface Fault {
  room: RoomName
  /** The source file, from the repository's root. */
  file: string
  /** Text that occurs once in the file. */
  find: string
  replace: string
  /** The test files of which at least one must fail. */
  tests: string[]
  /** The effect of the fault, in one sentence. */
  says: string
  /** Whether the tests take too long for a sample in CI. */
  slow?: boolean
}

export const REPOSITORY = join(import.meta.dirname, '..', '..')

export function readFaults(rooms: readonly RoomName[] = ROOM_NAMES): Fault[] {
  return rooms.flatMap((room) => {
    const text = readFileSync(join(import.meta.dirname, 'faults', `${room}.json`), 'utf8')
    return (JSON.parse(text) as Omit<Fault, 'room'>[]).map((fault) => ({ ...fault, room }))
  })
}

/** Returns the source with the fault. Throws if the fault does not apply. */
export function applyFault(source: string, fault: Fault): string {
  const parts = source.split(fault.find)
  if (parts.length !== 2) throw new Error(`the text to replace occurs ${parts.length - 1} times, not once`)
  const changed = parts.join(fault.replace)
  if (changed === source) throw new Error('the replacement changes nothing')
  if (fault.file.endsWith('.ts')) stripTypeScriptTypes(changed)
  return changed
}

/** Returns the problem of a list entry that no longer applies to the code. */
export function findProblem(fault: Fault, root = REPOSITORY): string | undefined {
  const missing = [fault.file, ...fault.tests].find((path) => !existsSync(join(root, path)))
  if (missing !== undefined) return `${missing} not found`
  if (fault.tests.length === 0) return 'it names no tests'
  try {
    applyFault(readFileSync(join(root, fault.file), 'utf8'), fault)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** The first changed line, for example `services/lib/lists/pages.ts:17`. */
export function placeOf(fault: Fault, root = REPOSITORY): string {
  const before = readFileSync(join(root, fault.file), 'utf8').split(fault.find)[0]!
  let same = 0
  while (fault.find[same] !== undefined && fault.find[same] === fault.replace[same]) same += 1
  return `${fault.file}:${(before + fault.find.slice(0, same)).split('\n').length}`
}
