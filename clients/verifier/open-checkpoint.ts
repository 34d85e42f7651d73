import { findCheckpoint, openNoteWithAny, type Checkpoint, type Verifier } from '#lib/tlog/note.ts'
import { checkPolicy, type Policy } from '#lib/tlog/policy.ts'
import { Tampered, Unmet } from './verdict.ts'

/** The keys and policy that a log is verified against. */
export interface Trust {
  /** The name of the log, which is the origin of its checkpoints. */
  name: string
  /** The keys of the log, several if it changed its key. At least one must have signed. */
  keys: Verifier[]
  /** The witnesses that must have cosigned. */
  policy: Policy | undefined
}

/** Returns the checkpoint in a signed note. Throws Tampered unless a key of the log signed it. */
export function openCheckpoint(note: string, { name, keys, policy }: Trust): Checkpoint {
  const opened = openNoteWithAny(note, keys)
  if (opened === undefined) throw new Tampered(`checkpoint is not signed by a key of ${name}`)
  const checkpoint = findCheckpoint(opened.text)
  if (checkpoint?.origin !== name) throw new Tampered(`signed note is not a checkpoint of ${name}`)
  const forged = policy && checkPolicy(note, policy).forged
  if (forged && forged.length > 0) throw new Tampered(`cosignature of witness ${forged[0]} is forged`)
  return checkpoint
}

/** Throws Unmet if too few witnesses cosigned. Called last, so that tampering is reported first. */
export function requireQuorum(note: string, { policy }: Trust): void {
  if (!policy) return
  const { isQuorum, times } = checkPolicy(note, policy)
  if (isQuorum) return
  const cosigned = times.size === 0 ? 'no witness' : [...times.keys()].join(', ')
  throw new Unmet(`checkpoint has too few cosignatures for the policy: cosigned by ${cosigned}`)
}
