// Checks that the private values beside the leaves match the commitments in the leaves.
import { hash } from 'node:crypto'
import { ownerOf, type ErasedValue } from './erasures.ts'
import type { LeafEvent } from './event.ts'
import type { OpeningLine } from './export-file.ts'
import { valueName } from './values.ts'
import { Tampered } from '../verdict.ts'

export interface Openings {
  /** Begins the next entry. The openings of an entry follow it. */
  entry(index: number, event: LeafEvent): void
  /** Checks the next opening of the current entry. */
  open(line: OpeningLine): void
  /** Throws Tampered if the last entry lacks an opening. */
  finish(): void
  /** The number of values that the export contains. */
  readonly shown: number
  readonly erased: ErasedValue[]
}

const NONE: readonly [string, unknown][] = []

/** Every method throws Tampered with the entry in the message. */
export function checkOpenings(): Openings {
  let current = -1
  let expected: readonly [string, unknown][] = NONE
  let shown = 0
  let owner: LeafEvent = {}
  const erased: ErasedValue[] = []

  const requireNone = (): void => {
    const [next] = expected
    if (next) throw new Tampered(`${valueName(current, next[0])} is missing, and no erasure is recorded`)
  }
  return {
    erased,
    get shown() {
      return shown
    },
    entry(index, event) {
      requireNone()
      current = index
      owner = event
      expected = event.commitments ? Object.entries(event.commitments) : NONE
    },
    open({ index, field, opening }) {
      const [next] = expected
      if (index !== String(current) || field !== next?.[0]) {
        throw new Tampered(`entry ${current} does not commit to "${field}" here: values are missing or moved`)
      }
      expected = expected.length === 1 ? NONE : expected.slice(1)
      const name = valueName(current, field)
      if ('redactIndex' in opening) {
        const recordedBy = Number(opening.redactIndex)
        requireLater(recordedBy, current, name)
        erased.push({ name, recordedBy, owner: ownerOf(owner) })
      } else {
        shown += 1
        requireCommitted(opening, next[1], name)
      }
    },
    finish: requireNone,
  }
}

function requireLater(recordedBy: number, index: number, name: string): void {
  if (recordedBy <= index) throw new Tampered(`${name} cannot be erased by entry ${recordedBy}, which is not later`)
}

function requireCommitted(opening: { salt: Buffer; value: Buffer }, commitment: unknown, name: string): void {
  if (commitTo(opening) !== commitment) throw new Tampered(`${name} does not match its commitment`)
}

/** The buffer in which salt and value are joined for hashing; there may be as many values as entries. */
const joined = Buffer.alloc(64 * 1024)

function commitTo({ salt, value }: { salt: Buffer; value: Buffer }): string {
  const length = salt.length + value.length
  if (length > joined.length) return hash('sha256', Buffer.concat([salt, value]), 'base64')
  joined.set(salt)
  joined.set(value, salt.length)
  return hash('sha256', joined.subarray(0, length), 'base64')
}
