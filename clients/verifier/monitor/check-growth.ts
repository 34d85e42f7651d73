// Checks that the current checkpoint of a log continues the one that was verified before.
import { consistencyParts, EMPTY_ROOT, peaksOf, type Node } from '#lib/tlog/merkle.ts'
import { verifyConsistency } from '#lib/tlog/merkle-proof.ts'
import type { Checkpoint } from '#lib/tlog/note.ts'
import { hashParts, tilesOf } from '#lib/tlog/tiles.ts'
import { openCheckpoint, type Trust } from '../open-checkpoint.ts'
import type { TileSource } from './tile-source.ts'
import { Tampered, Unusable } from '../verdict.ts'

/** Throws Tampered if the log was forked or rolled back, or does not serve what it signed. */
export async function checkGrowth(
  source: TileSource,
  note: string,
  trust: Trust,
  known: Checkpoint | undefined,
): Promise<Checkpoint> {
  const shown = openCheckpoint(note, trust)
  if (shown.size > BigInt(Number.MAX_SAFE_INTEGER)) throw new Unusable('log is too large')
  if (!known || known.size === 0n) {
    await requireDerived(source, shown)
    return shown
  }
  if (shown.size < known.size) {
    throw new Tampered(`log shows a checkpoint of ${shown.size} entries after one of ${known.size}: it was rolled back`)
  }
  if (shown.size > known.size) await requireContinued(source, known, shown)
  else if (!shown.root.equals(known.root)) {
    throw new Tampered(`log signed two different trees of ${known.size} entries: it was forked`)
  }
  return shown
}

/** Requires that the tiles form the signed tree. */
async function requireDerived(source: TileSource, { size, root }: Checkpoint): Promise<void> {
  const count = Number(size)
  const derived = count === 0 ? EMPTY_ROOT : (await readParts(source, [peaksOf(0, count)], count))[0]!
  if (!derived.equals(root)) throw new Tampered(`tiles of the log do not match its signed root of ${size} entries`)
}

async function requireContinued(source: TileSource, known: Checkpoint, shown: Checkpoint): Promise<void> {
  const proof = await readParts(source, consistencyParts(Number(known.size), Number(shown.size)), Number(shown.size))
  const claim = { oldSize: known.size, newSize: shown.size, oldRoot: known.root, newRoot: shown.root, proof }
  if (verifyConsistency(claim)) return
  throw new Tampered(
    `checkpoint of ${shown.size} entries does not continue the verified one of ${known.size}: the log was forked, or ` +
      'its tiles do not match the signed root',
  )
}

async function readParts(source: TileSource, parts: Node[][], size: number): Promise<Buffer[]> {
  const tiles = await Promise.all(tilesOf(parts).map((name) => source.tile(name, size)))
  return hashParts(parts, tiles)
}
