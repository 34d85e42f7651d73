// The log as c2sp.org/tlog-tiles has it: checkpoint, tiles of hashes, bundles of entries, by plain HTTP GET.
import { ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { ALL_NAMESPACES } from '#lib/access/caller.ts'
import { HASH_BYTES } from '#lib/tlog/merkle.ts'
import type { AdmitPlain, PlainAnswer } from '#lib/server/plain-http.ts'
import { forkFor } from '#lib/store/database.ts'
import { findTilePath, TILE_WIDTH } from '#lib/tlog/tiles.ts'
import { encodeBundle } from '../../domain/bundle.ts'
import { readBundle } from '../../store/read.ts'
import { findTile } from '../../store/tiles.ts'
import { requireNewest } from './get-checkpoint.ts'
import type { LogDeps } from '../../deps.ts'

const { getCheckpoint, exportEntries } = ProofService.method
/** Tiles never change, and are not for everybody. */
const FOR_EVER = 'private, max-age=31536000, immutable'

export async function answerTiles(
  { database }: LogDeps,
  path: string,
  admit: AdmitPlain,
): Promise<PlainAnswer | undefined> {
  if (path === '/checkpoint') {
    await admit(getCheckpoint)
    const { note } = await requireNewest(forkFor(database))
    return { type: 'text/plain; charset=utf-8', cache: 'private, no-cache', body: note }
  }
  const wanted = findTilePath(path)
  if (!wanted) return undefined
  const { level, index, width = TILE_WIDTH } = wanted
  const isEntries = level === 'entries'
  await admit(isEntries ? exportEntries : getCheckpoint, isEntries ? ALL_NAMESPACES : undefined)
  const em = forkFor(database)
  const body = isEntries ? await findBundle(em, index, width) : await findTile(em, { level, index }, width)
  return body && { type: 'application/octet-stream', cache: FOR_EVER, body }
}

/** Undefined where there are not as many. */
async function findBundle(
  em: Parameters<typeof readBundle>[0],
  index: number,
  width: number,
): Promise<Buffer | undefined> {
  const tile = await findTile(em, { level: 0, index }, width)
  if (tile?.length !== width * HASH_BYTES) return undefined
  const leaves = await readBundle(em, index * TILE_WIDTH, width)
  return encodeBundle(leaves)
}
