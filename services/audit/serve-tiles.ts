// Serves the log by plain HTTP GET in the format of c2sp.org/tlog-tiles: the checkpoint, tiles of hashes and bundles of
// entries.
import { ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { ALL_NAMESPACES } from '#lib/access/caller.ts'
import { HASH_BYTES } from '#lib/tlog/merkle.ts'
import type { AdmitPlain, PlainAnswer } from '#lib/server/plain-http.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { findTilePath, TILE_WIDTH } from '#lib/tlog/tiles.ts'
import { encodeBundle } from './domain/bundle.ts'
import { readBundle } from './store/log/entry-lists.ts'
import { findTile } from './store/tree/tiles.ts'
import { requireNewest } from './rpc/proof/get-checkpoint.ts'
import type { LogDeps } from './deps.ts'

const { getCheckpoint, exportEntries } = ProofService.method
/** Clients may cache tiles forever, because they never change; `private`, because they require a token. */
const CACHE_FOREVER = 'private, max-age=31536000, immutable'

/** Returns undefined for other paths, and where the log has no such tile. */
export async function serveTiles(
  { database }: LogDeps,
  path: string,
  admit: AdmitPlain,
): Promise<PlainAnswer | undefined> {
  if (path === '/checkpoint') {
    await admit(getCheckpoint)
    const { note } = await requireNewest(forkFor(database))
    return { type: 'text/plain; charset=utf-8', cache: 'private, no-cache', body: note }
  }
  const tile = findTilePath(path)
  if (!tile) return undefined
  const { level, index, width = TILE_WIDTH } = tile
  const isEntries = level === 'entries'
  await admit(isEntries ? exportEntries : getCheckpoint, isEntries ? ALL_NAMESPACES : undefined)
  const em = forkFor(database)
  const body = isEntries ? await findBundle(em, index, width) : await findTile(em, { level, index }, width)
  return body && { type: 'application/octet-stream', cache: CACHE_FOREVER, body }
}

/** Returns undefined where the log has less than `width` entries there. */
async function findBundle(em: EntityManager, index: number, width: number): Promise<Buffer | undefined> {
  const tile = await findTile(em, { level: 0, index }, width)
  if (tile?.length !== width * HASH_BYTES) return undefined
  const leaves = await readBundle(em, index * TILE_WIDTH, width)
  return encodeBundle(leaves)
}
