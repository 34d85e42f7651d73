import { findCheckpoint, openNoteWithAny, type Checkpoint, type Verifier } from '#lib/tlog/note.ts'
import { checkPolicy, type Policy } from '#lib/tlog/policy.ts'
import { Tampered, Unmet } from './verdict.ts'

/** Whose word is taken for a log. */
export interface Trust {
  /** The log's. */
  name: string
  /** Its keys: several, where it has changed its key. One of them must have signed. */
  keys: Verifier[]
  /** Whose cosignatures are needed beside. */
  policy: Policy | undefined
}

/** What one of the keys has signed: a checkpoint of its own log, or Tampered is thrown. */
export function openCheckpoint(note: string, { name, keys, policy }: Trust): Checkpoint {
  const opened = openNoteWithAny(note, keys)
  if (opened === undefined) throw new Tampered(`checkpoint is not signed by a key of ${name}`)
  const checkpoint = findCheckpoint(opened.text)
  if (checkpoint?.origin !== name) throw new Tampered(`signed note is not a checkpoint of ${name}`)
  const forged = policy && checkPolicy(note, policy).forged
  if (forged && forged.length > 0) throw new Tampered(`cosignature of witness ${forged[0]} is forged`)
  return checkpoint
}

/** Throws Unmet where too few witnesses have cosigned. Asked last: what was tampered with is told first. */
export function requireQuorum(note: string, { policy }: Trust): void {
  if (!policy) return
  const { isQuorum, times } = checkPolicy(note, policy)
  if (isQuorum) return
  const cosigned = times.size === 0 ? 'no witness' : [...times.keys()].join(', ')
  throw new Unmet(`checkpoint has too few cosignatures for the policy: cosigned by ${cosigned}`)
}
