// What the witness is for: it cosigns a checkpoint that continues all it has cosigned of the log before, and no other.
import type { KeyObject } from 'node:crypto'
import { cosign, findCosignature } from '#lib/tlog/cosignature.ts'
import type { Logger } from '#lib/process/log.ts'
import { verifyConsistency } from '#lib/tlog/merkle-proof.ts'
import { EMPTY_ROOT } from '#lib/tlog/merkle.ts'
import { openNoteWithAny, splitNote, type Verifier } from '#lib/tlog/note.ts'
import { findAddCheckpoint, type AddCheckpoint } from './domain/request.ts'
import type { Seen, StateDirectory } from './store/state.ts'

export interface Witness {
  cosigner: Verifier
  key: KeyObject
  /** The keys of the logs it knows, by origin: several while a log changes its key. */
  logs: ReadonlyMap<string, Verifier[]>
  state: StateDirectory
  logger: Logger
  /** In milliseconds since 1970. */
  now: () => number
}

export interface Answer {
  status: number
  body: string
  type?: string
}

const ATTEMPTS = 3

/** Without a pause between looking and keeping, so that no other request comes between; from other processes the state
 * directory protects. It is on disk before it is answered. */
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
    if (!continues(request, seen)) return refuse(witness, request, seen)
    const line = cosign(opened.text, witness.cosigner.name, witness.key, timeAfter(witness, seen))
    if (witness.state.advance(checkpoint.origin, seen.generation, keep(note, keys, line))) {
      return { status: 200, body: line }
    }
  }
  return { status: 503, body: 'witness is busy with other requests for this log; retry\n' }
}

function continues({ oldSize, proof, checkpoint }: AddCheckpoint, { checkpoint: seen }: Seen): boolean {
  if (checkpoint.size === 0n && !checkpoint.root.equals(EMPTY_ROOT)) return false
  if (oldSize === 0n) return proof.length === 0
  const { size: newSize, root: newRoot } = checkpoint
  return verifyConsistency({ oldSize, oldRoot: seen!.root, newSize, newRoot, proof })
}

/** Both checkpoints are signed by the log: where no proof connects them, they are evidence against it. */
function refuse({ logger }: Witness, { note, checkpoint }: AddCheckpoint, { note: kept }: Seen): Answer {
  logger.error(
    { origin: checkpoint.origin, seen: kept, refused: note },
    'checkpoint rejected: the proof does not show that it extends the log',
  )
  return { status: 422, body: 'proof does not show that the checkpoint extends the log\n' }
}

/** Never earlier than the last, whatever the clock does. */
function timeAfter({ now, cosigner }: Witness, { note }: Seen): bigint {
  const last = note === undefined ? undefined : findCosignature(note, cosigner)
  const time = BigInt(Math.max(1, Math.floor(now() / 1000)))
  return typeof last === 'bigint' && last > time ? last : time
}

/** The checkpoint with the signatures that were verified, and the cosignature. */
function keep(note: string, keys: Verifier[], line: string): string {
  const { text, signatures } = splitNote(note)!
  const known = signatures.filter((signature) => keys.some((key) => openNoteWithAny(`${text}\n${signature}\n`, [key])))
  return `${text}\n${known.map((signature) => `${signature}\n`).join('')}${line}`
}
