import type { HandlerContext } from '@connectrpc/connect'
import { Quorum, type GetCheckpointRequest } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { parseIndex } from '../../domain/entry.ts'
import {
  findCheckpointOver,
  findNewestCheckpoint,
  type PublishedCheckpoint,
} from '../../store/tree/published-checkpoints.ts'
import type { LogDeps } from '../../deps.ts'

export async function getCheckpoint({ database }: LogDeps, { minSize }: GetCheckpointRequest, context: HandlerContext) {
  const size = parseIndex(minSize, 'min_size')
  const em = forkFor(database, context.signal)
  if (size === 0) return { checkpoint: presentCheckpoint(await requireNewest(em)) }
  return { checkpoint: presentCheckpoint((await findCheckpointOver(em, size)) ?? failNoCheckpoint(size)) }
}

/** Returns the newest published checkpoint. Fails with CHECKPOINT_NOT_FOUND where it covers less than `size` entries. */
export async function requireNewest(em: EntityManager, size = 0): Promise<PublishedCheckpoint> {
  const newest = await findNewestCheckpoint(em)
  if (!newest || newest.size < size) failNoCheckpoint(size)
  return newest
}

export function failNoCheckpoint(size: number): never {
  const message = size === 0 ? 'checkpoint not found; none is published yet' : `checkpoint of ${size} entries not found`
  fail('CHECKPOINT_NOT_FOUND', message, { size: String(size) })
}

const QUORUM = { NONE: Quorum.UNSPECIFIED, MET: Quorum.MET, UNMET: Quorum.UNMET }

export function presentCheckpoint({ note, size, root, quorum }: PublishedCheckpoint) {
  return { note, size: BigInt(size), rootHash: root, quorum: QUORUM[quorum] }
}
