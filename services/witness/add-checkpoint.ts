// The add-checkpoint request of c2sp.org/tlog-witness: cosigns a checkpoint if it extends the last one that the witness has
// cosigned of the same log.
import type { KeyObject } from 'node:crypto'
import { cosign, findCosignature } from '#lib/tlog/cosignature.ts'
import type { Logger } from '#lib/process/log.ts'
import { verifyConsistency } from '#lib/tlog/merkle-proof.ts'
import { EMPTY_ROOT } from '#lib/tlog/merkle.ts'
import { openNoteWithAny, splitNote, type Verifier } from '#lib/tlog/note.ts'
import { findAddCheckpoint, type AddCheckpoint } from './domain/request.ts'
import type { CosignedState, StateDirectory } from './store/state.ts'

export interface Witness {
  cosigner: Verifier
  key: KeyObject
  /** Keys of the known logs by origin: several during a change of keys. */
  logs: ReadonlyMap<string, Verifier[]>
  state: StateDirectory
  logger: Logger
  /** Returns milliseconds since 1970. */
  now: () => number
}

export interface Answer {
  status: number
  body: string
  type?: string
}

const ATTEMPTS = 3

/** Runs synchronously, so that no other request of this process comes between reading and advancing the state; the state
 * directory protects against other processes. The new state is on disk before this returns. */
export function addCheckpoint(witness: Witness, body: string): Answer {
  const request = findAddCheckpoint(body)
  if (!request) return { status: 400, body: 'request body must be an old size, a proof and a checkpoint\n' }
  const { note, checkpoint, oldSize } = request
  const keys = witness.logs.get(checkpoint.origin)
  if (!keys) return { status: 404, body: 'log not known to this witness\n' }
  const opened = openNoteWithAny(note, keys)
  if (!opened) return { status: 403, body: "checkpoint is not signed by the log's key\n" }
  if (oldSize > checkpoint.size) return { status: 400, body: "old size exceeds the checkpoint's size\n" }
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const seen = witness.state.read(checkpoint.origin)
    const known = seen.checkpoint?.size ?? 0n
    if (known !== oldSize) return { status: 409, type: 'text/x.tlog.size', body: `${known}\n` }
    if (!isExtension(request, seen)) return reject(witness, request, seen)
    const line = cosign(opened.text, witness.cosigner.name, witness.key, nextTime(witness, seen))
    if (witness.state.advance(checkpoint.origin, seen.generation, formatStored(note, keys, line))) {
      return { status: 200, body: line }
    }
  }
  return { status: 503, body: 'witness is busy with other requests for this log; retry\n' }
}

function isExtension({ oldSize, proof, checkpoint }: AddCheckpoint, { checkpoint: seen }: CosignedState): boolean {
  if (checkpoint.size === 0n && !checkpoint.root.equals(EMPTY_ROOT)) return false
  if (oldSize === 0n) return proof.length === 0
  const { size: newSize, root: newRoot } = checkpoint
  return verifyConsistency({ oldSize, oldRoot: seen!.root, newSize, newRoot, proof })
}

/** Logs both checkpoints: the log has signed them, so they are evidence of a fork where no proof connects them. */
function reject({ logger }: Witness, { note, checkpoint }: AddCheckpoint, { note: stored }: CosignedState): Answer {
  logger.error(
    { origin: checkpoint.origin, seen: stored, refused: note },
    'checkpoint rejected: the proof does not show that it extends the log',
  )
  return { status: 422, body: 'proof does not show that the checkpoint extends the log\n' }
}

/** Returns the time of the next cosignature in seconds: never before the last one, even where the clock was set back. */
function nextTime({ now, cosigner }: Witness, { note }: CosignedState): bigint {
  const last = note === undefined ? undefined : findCosignature(note, cosigner)
  const time = BigInt(Math.max(1, Math.floor(now() / 1000)))
  return typeof last === 'bigint' && last > time ? last : time
}

/** Returns the checkpoint with its verified signatures and the cosignature. */
function formatStored(note: string, keys: Verifier[], line: string): string {
  const { text, signatures } = splitNote(note)!
  const known = signatures.filter((signature) => keys.some((key) => openNoteWithAny(`${text}\n${signature}\n`, [key])))
  return `${text}\n${known.map((signature) => `${signature}\n`).join('')}${line}`
}
