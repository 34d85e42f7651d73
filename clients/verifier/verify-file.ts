// Verifies files without a server: an export, the proof of an event, and the consistency of two states of a log.
import { createReadStream } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { findCheckpoint, splitNote, type Checkpoint } from '#lib/tlog/note.ts'
import { findProof, PROOF_HEADER } from '#lib/tlog/proof-file.ts'
import { VerifierError, type ExitName } from './verifier-error.ts'
import { findConsistency } from './consistency-file.ts'
import { findHeader } from './export/export-file.ts'
import type { Replayed } from './replay/replay.ts'
import { openCheckpoint, requireQuorum, type Trust } from './open-checkpoint.ts'
import { Tampered, Unmet, Unreachable, Unusable } from './verdict.ts'
import { requireNotShrunk, requireRoot, verifyContinued } from './verify-consistency.ts'
import { verifyExport } from './verify-export.ts'
import { verifyProof, verifyValues } from './verify-proof.ts'

/** The result of a verification, for people and for programs. */
export interface Report {
  lines: string[]
  document: Record<string, string | string[] | Record<string, string>>
}

const MAX_SHOWN = 10
const CHUNK_BYTES = 1024 * 1024
/** The limit of a checkpoint with many signatures, and of the first line of an export. */
const MAX_NOTE_BYTES = 128 * 1024

export function verifyFile(file: string, trust: Trust): Promise<Report> {
  return withSubject(file, async () => ((await isProof(file)) ? checkProof(file, trust) : checkExport(file, trust)))
}

/** Verifies that the new file continues the old one. Each may be an export, a checkpoint or a proof with a checkpoint. */
export async function verifyFiles(oldFile: string, newFile: string, trust: Trust): Promise<Report> {
  const old = await withSubject(oldFile, () => readState(oldFile, trust))
  const newer = await withSubject(newFile, () => continueState(old, newFile, trust))
  const { origin } = newer
  const lines = [`consistent: the ${newer.size} entries of ${origin} begin with the ${old.size} entries signed before`]
  const document = { origin, oldSize: String(old.size), size: String(newer.size), root: newer.root.toString('base64') }
  return { lines, document }
}

/** Returns the number of entries that the checkpoint in a file covers, without verifying it. */
export function readSize(file: string): Promise<bigint> {
  return withSubject(file, async () => {
    const text = (await readStart(file, MAX_NOTE_BYTES)).toString()
    const note = findHeader(text.slice(0, text.indexOf('\n')))?.checkpoint ?? findNote(text)
    return findCheckpoint(splitNote(note)?.text ?? '')!.size
  })
}

const EXITS: [new () => Error, ExitName, string][] = [
  [Tampered, 'integrity', 'TAMPERED'],
  [Unmet, 'policy', 'POLICY_UNMET'],
  [Unreachable, 'unavailable', 'UNREACHABLE'],
]

/** Turns a verdict into a VerifierError that names the file or log. */
export async function withSubject<T>(subject: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { message } = error as Error
    const found = EXITS.find(([verdict]) => error instanceof verdict)
    if (found) throw new VerifierError(found[1], `${subject}: ${message}`, { reason: found[2], cause: error })
    const isUnusable = error instanceof Unusable
    if (!isUnusable && !(error as NodeJS.ErrnoException).syscall) throw error
    const what = isUnusable ? 'used' : 'read'
    throw new VerifierError('usage', `${subject} cannot be ${what}: ${message}`, { reason: 'UNUSABLE', cause: error })
  }
}

function chunksOf(file: string): AsyncIterable<Buffer> {
  return createReadStream(file, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>
}

async function readStart(file: string, length: number): Promise<Buffer> {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

async function isProof(file: string): Promise<boolean> {
  return (await readStart(file, PROOF_HEADER.length)).toString() === PROOF_HEADER
}

async function isExport(file: string): Promise<boolean> {
  return (await readStart(file, 1)).toString() === '{'
}

async function checkExport(file: string, trust: Trust): Promise<Report> {
  const { checkpoint, producers, values, replayed } = await verifyExport(chunksOf(file), trust)
  const { origin } = checkpoint
  const [size, root] = [String(checkpoint.size), checkpoint.root.toString('base64')]
  const counts = [...producers].map(([name, sequence]): [string, string] => [name, String(sequence)])
  const lines = [
    `verified: ${size} entries of ${origin}, root ${root}`,
    `events without gaps: ${counts.map((count) => count.join(' ')).join(', ')}`,
    `private values: ${values.shown} match their commitments, ${values.erased} erased`,
    `rules satisfied: replayed ${replayed.events} changes of models, versions, aliases, gates, promotions, roles and tokens`,
    ...formatMoves(replayed),
  ]
  const found = { shown: String(values.shown), erased: String(values.erased) }
  return {
    lines,
    document: {
      origin,
      size,
      root,
      producers: Object.fromEntries(counts),
      values: found,
      replayed: String(replayed.events),
      promotions: String(replayed.promotions),
      forced: replayed.forced,
    },
  }
}

/** Lists how guarded aliases moved. */
function formatMoves({ promotions, forced }: Replayed): string[] {
  if (promotions + forced.length === 0) return []
  const moved = `alias moves: ${promotions} by promotion, ${forced.length} past gates`
  const more = forced.length > MAX_SHOWN ? [`  and ${forced.length - MAX_SHOWN} more`] : []
  return [moved, ...forced.slice(0, MAX_SHOWN).map((move) => `  past gates: ${move}`), ...more]
}

async function checkProof(file: string, trust: Trust): Promise<Report> {
  const name = file.replace(/\.tlog-proof$/, '')
  const leaf = await readFile(`${name}.json`)
  const values = await readFile(`${name}.values`).catch(() => undefined)
  const { index, checkpoint } = verifyProof(await readFile(file, 'utf8'), leaf, trust)
  if (values) verifyValues(Number(index), leaf, values)
  const { origin, size } = checkpoint
  const lines = [`verified: ${name}.json is entry ${index} of the ${size} entries of ${origin}`]
  if (values) lines.push(`${name}.values matches the commitments of the entry`)
  return { lines, document: { origin, index: String(index), size: String(size) } }
}

async function readState(file: string, trust: Trust): Promise<Checkpoint> {
  if (await isExport(file)) return (await verifyExport(chunksOf(file), trust)).checkpoint
  return openCheckpoint(findNote(await readFile(file, 'utf8')), trust)
}

async function continueState(old: Checkpoint, file: string, trust: Trust): Promise<Checkpoint> {
  if (!(await isExport(file))) {
    const text = await readFile(file, 'utf8')
    const note = findNote(text)
    const newer = verifyContinued(old, text, trust)
    requireQuorum(note, trust)
    return newer
  }
  const { checkpoint, oldRoot } = await verifyExport(chunksOf(file), trust, old.size)
  requireNotShrunk(old, checkpoint)
  requireRoot(old, oldRoot!)
  return checkpoint
}

/** Returns the signed note in a file: alone, or at the end of a proof. */
function findNote(text: string): string {
  const note = findProof(text)?.checkpoint ?? findConsistency(text)?.checkpoint ?? text
  if (!findCheckpoint(splitNote(note)?.text ?? '')) throw new Unusable('the file is neither an export nor a checkpoint')
  return note
}
