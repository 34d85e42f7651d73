// Whether the values beside the leaves are those that the leaves commit to, and what is missing was erased as the log
// tells.
import { hash } from 'node:crypto'
import { watchErasures } from './erasures.ts'
import type { LeafEvent } from './event.ts'
import type { OpeningLine } from './export-file.ts'
import { Tampered, Unmet } from './verdict.ts'

export interface Openings {
  /** The entry that follows, whose own openings follow it. */
  entry(index: number, event: LeafEvent): void
  /** The next opening. */
  open(line: OpeningLine): void
  /** Throws where something is left to be told. */
  finish(): void
  readonly shown: number
  readonly erased: number
}

const NONE: readonly [string, unknown][] = []

/** Of a log of `size` entries. What is thrown says which entry is meant; `complain` is told of what was erased although it
 * should not be. */
export function checkOpenings(size: bigint, complain: (wrong: string) => void): Openings {
  const erasures = watchErasures(complain)
  let current = -1
  let of: LeafEvent = {}
  let awaited: readonly [string, unknown][] = NONE
  const beyond: string[] = []
  let [shownCount, erasedCount] = [0, 0]

  const requireNone = (): void => {
    const [next] = awaited
    if (next) throw new Tampered(`what entry ${current} commits to as ${next[0]} is missing, and no erasure is told`)
  }
  const erase = (field: string, redactIndex: string): void => {
    erasedCount += 1
    const name = `${current} ${field}`
    const by = Number(redactIndex)
    if (by <= current) throw new Tampered(`${name} cannot have been erased by ${redactIndex}`)
    if (by >= size) return void beyond.push(name)
    erasures.expect(by, name, of)
  }
  return {
    get shown() {
      return shownCount
    },
    get erased() {
      return erasedCount
    },
    entry(index, event) {
      requireNone()
      current = index
      of = event
      awaited = event.commitments ? Object.entries(event.commitments) : NONE
      erasures.entry(index, event)
    },
    open({ index, field, opening }) {
      const [next] = awaited
      if (index !== String(current) || field !== next?.[0]) {
        throw new Tampered(`entry ${current} commits to no ${field} here: values are missing or moved`)
      }
      awaited = awaited.length === 1 ? NONE : awaited.slice(1)
      if ('redactIndex' in opening) return erase(field, opening.redactIndex)
      shownCount += 1
      requireCommitted(opening, next[1], `${field} of entry ${current}`)
    },
    finish() {
      requireNone()
      if (beyond.length === 0) return
      throw new Unmet(`the erasure of ${beyond.join(', ')} is told after its last entry: export the log again`)
    },
  }
}

function requireCommitted(opening: { salt: Buffer; value: Buffer }, commitment: unknown, what: string): void {
  if (commitTo(opening) !== commitment) throw new Tampered(`the ${what} is not what its leaf commits to`)
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
