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
  if (opened === undefined) throw new Tampered(`the checkpoint is not signed by the key of ${name}`)
  const checkpoint = findCheckpoint(opened.text)
  if (checkpoint?.origin !== name) throw new Tampered(`what is signed is no checkpoint of ${name}`)
  const forged = policy && checkPolicy(note, policy).forged
  if (forged && forged.length > 0) throw new Tampered(`the cosignature of witness ${forged[0]} is forged`)
  return checkpoint
}

/** Throws Unmet where too few witnesses have cosigned. Asked last: what was tampered with is told first. */
export function requireQuorum(note: string, { policy }: Trust): void {
  if (!policy) return
  const { isQuorum, times } = checkPolicy(note, policy)
  if (isQuorum) return
  const cosigned = times.size === 0 ? 'nobody' : [...times.keys()].join(', ')
  throw new Unmet(
    `the policy asks for more cosignatures than the checkpoint has: ${cosigned} of its witnesses cosigned`,
  )
}
