// Verifies that a newer state of the log continues an older one: no entry was changed, moved or removed.
import { EMPTY_ROOT } from '#lib/tlog/merkle.ts'
import { verifyConsistency } from '#lib/tlog/merkle-proof.ts'
import type { Checkpoint } from '#lib/tlog/note.ts'
import { findConsistency } from './consistency-file.ts'
import { openCheckpoint, type Trust } from './open-checkpoint.ts'
import { Tampered, Unusable } from './verdict.ts'

/** Verifies the proof in `text`; checkpoints of the same size need none. Throws Tampered or Unusable. */
export function verifyContinued(old: Checkpoint, text: string, trust: Trust): Checkpoint {
  const file = findConsistency(text)
  const newer = openCheckpoint(file?.checkpoint ?? text, trust)
  requireNotShrunk(old, newer)
  if (newer.size === old.size || old.size === 0n) {
    requireRoot(old, newer.size === old.size ? newer.root : EMPTY_ROOT)
    return newer
  }
  if (!file) {
    throw new Unusable(`the checkpoint of ${newer.size} entries has no proof that it continues the one of ${old.size}`)
  }
  if (file.oldSize !== old.size) {
    throw new Unusable(`the proof starts at ${file.oldSize} entries, but the older checkpoint covers ${old.size}`)
  }
  const claim = { oldSize: old.size, newSize: newer.size, oldRoot: old.root, newRoot: newer.root, proof: file.hashes }
  if (!verifyConsistency(claim)) {
    throw new Tampered(`the log of ${newer.size} entries does not continue the one of ${old.size}: the log was forked`)
  }
  return newer
}

export function requireNotShrunk(old: Checkpoint, newer: Checkpoint): void {
  if (newer.size >= old.size) return
  throw new Tampered(
    `the newer checkpoint covers ${newer.size} entries, the older one ${old.size}: the log was rolled back, or the ` +
      'two files are in the wrong order',
  )
}

/** `root`: the root that the newer log has at the old size. */
export function requireRoot(old: Checkpoint, root: Buffer): void {
  if (root.equals(old.root)) return
  throw new Tampered(
    `the first ${old.size} entries have root ${root.toString('base64')}, but ${old.root.toString('base64')} was ` +
      'signed before: the log was forked',
  )
}
