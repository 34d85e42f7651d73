// Whether the values beside the leaves are those that the leaves commit to.
import { hash } from 'node:crypto'
import { bearerOf, type ErasedValue } from './erasures.ts'
import type { LeafEvent } from './event.ts'
import type { OpeningLine } from './export-file.ts'
import { valueName } from './values.ts'
import { Tampered } from '../verdict.ts'

export interface Openings {
  /** The entry that follows, whose own openings follow it. */
  entry(index: number, event: LeafEvent): void
  /** The next opening. */
  open(line: OpeningLine): void
  /** Throws where something is left to be told. */
  finish(): void
  readonly shown: number
  readonly erased: ErasedValue[]
}

const NONE: readonly [string, unknown][] = []

/** What is thrown says which entry is meant. */
export function checkOpenings(): Openings {
  let current = -1
  let awaited: readonly [string, unknown][] = NONE
  let shown = 0
  let of: LeafEvent = {}
  const erased: ErasedValue[] = []

  const requireNone = (): void => {
    const [next] = awaited
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
      of = event
      awaited = event.commitments ? Object.entries(event.commitments) : NONE
    },
    open({ index, field, opening }) {
      const [next] = awaited
      if (index !== String(current) || field !== next?.[0]) {
        throw new Tampered(`entry ${current} does not commit to "${field}" here: values are missing or moved`)
      }
      awaited = awaited.length === 1 ? NONE : awaited.slice(1)
      if ('redactIndex' in opening) {
        const by = Number(opening.redactIndex)
        if (by <= current)
          throw new Tampered(`${valueName(current, field)} cannot be erased by entry ${by}, which is not later`)
        erased.push({ name: valueName(current, field), by, of: bearerOf(of) })
      } else {
        shown += 1
        requireCommitted(opening, next[1], valueName(current, field))
      }
    },
    finish() {
      requireNone()
    },
  }
}

function requireCommitted(opening: { salt: Buffer; value: Buffer }, commitment: unknown, name: string): void {
  if (commitTo(opening) !== commitment) throw new Tampered(`${name} does not match its commitment`)
}

/** What is hashed is put together here, where it fits: there may be as many values as entries. */
const committed = Buffer.alloc(64 * 1024)

function commitTo({ salt, value }: { salt: Buffer; value: Buffer }): string {
  const length = salt.length + value.length
  if (length > committed.length) return hash('sha256', Buffer.concat([salt, value]), 'base64')
  committed.set(salt)
  committed.set(value, salt.length)
  return hash('sha256', committed.subarray(0, length), 'base64')
}
