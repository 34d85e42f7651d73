// The keys that sign the log's checkpoints, and the name of the log.
import type { KeyObject } from 'node:crypto'
import type { EnvReader } from '#lib/process/env.ts'
import { findVerifier, formatCheckpoint, formatVerifierKey, isKeyName, KEY_TYPE, signNote } from '#lib/tlog/note.ts'
import { readSigningKey } from '#lib/process/signing-key.ts'
import type { Tree } from './domain/checkpoint.ts'

export interface Signer {
  /** The name of the log, in its checkpoints and keys. */
  origin: string
  /** One key, or two during a change of keys, when both sign. */
  keys: KeyObject[]
  /** The public half of the first key, in the form that verifiers take. */
  vkey: string
  vkeys: string[]
  /** Ids of the keys in hex, with commas between them. */
  keyId: string
  /** The file that stores the last signed checkpoint outside the database, so that a restored backup is detected. */
  stateFile: string | undefined
}

/** Returns undefined without AUDIT_KEY: this process signs nothing then. */
export function readSigner(env: EnvReader): Signer | undefined {
  const isSet = (name: string) => env.string(name, '') !== '' || env.string(`${name}_FILE`, '') !== ''
  if (!isSet('AUDIT_KEY')) {
    if (isSet('AUDIT_OTHER_KEY')) env.problem('AUDIT_OTHER_KEY requires AUDIT_KEY')
    return undefined
  }
  const origin = env.string('AUDIT_ORIGIN')
  const stateFile = env.string('AUDIT_STATE_FILE', '') || undefined
  const key = readSigningKey(env, 'AUDIT_KEY')
  const other = readSigningKey(env, 'AUDIT_OTHER_KEY')
  if (key && other?.equals(key)) env.problem('AUDIT_OTHER_KEY must differ from AUDIT_KEY')
  const isName = isKeyName(origin)
  if (origin !== '' && !isName)
    env.problem('AUDIT_ORIGIN must be a name without spaces or +, for example example.com/log')
  return key && isName ? createSigner(origin, other ? [key, other] : [key], stateFile) : undefined
}

export function createSigner(origin: string, keys: KeyObject[], stateFile: string | undefined): Signer {
  const vkeys = keys.map((key) => formatVerifierKey(origin, key))
  const ids = vkeys.map((vkey) => findVerifier(vkey, KEY_TYPE.note)!.id.toString('hex'))
  return { origin, keys, vkey: vkeys[0]!, vkeys, keyId: ids.join(','), stateFile }
}

/** Returns the checkpoint of `tree` with the signatures of all keys. */
export function signCheckpoint({ origin, keys }: Signer, tree: Tree): string {
  const text = formatCheckpoint({ origin, size: BigInt(tree.size), root: tree.root })
  const lines = keys.map((key) => signNote(text, origin, key).slice(text.length + 1))
  return `${text}\n${lines.join('')}`
}
