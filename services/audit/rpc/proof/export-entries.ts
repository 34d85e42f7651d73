import type { HandlerContext } from '@connectrpc/connect'
import type { ExportEntriesRequest } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { accessOf, ALL_NAMESPACES } from '#lib/access/caller.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseIndex } from '../../domain/entry.ts'
import { readLeaves } from '../../store/log/entry-lists.ts'
import { findCheckpointOver } from '../../store/tree/published-checkpoints.ts'
import { failNoCheckpoint, presentCheckpoint, requireNewest } from './get-checkpoint.ts'
import type { LogDeps } from '../../deps.ts'
import { presentOpening } from '../present-entry.ts'

export async function* exportEntries(
  { database, reads }: LogDeps,
  request: ExportEntriesRequest,
  context: HandlerContext,
) {
  const { principal } = accessOf(context).caller
  accessOf(context).require(ALL_NAMESPACES)
  const requested = parseIndex(request.treeSize, 'tree_size')
  const em = forkFor(database, context.signal)
  const checkpoint = requested === 0 ? await requireNewest(em) : await findCheckpointOver(em, requested)
  if (!checkpoint || (requested !== 0 && checkpoint.size !== requested)) failNoCheckpoint(requested)
  yield { checkpoint: presentCheckpoint(checkpoint) }
  for (let next = 0; next < checkpoint.size;) {
    const from = next
    const read = () => readLeaves(forkFor(database, context.signal), from, checkpoint.size, context.signal)
    const entries = await reads.run(principal, read)
    if (entries.length === 0) throw new Error(`entry ${next} not found in the log`)
    yield {
      entries: entries.map(({ leaf, leafHash, openings }) => ({
        leaf,
        leafHash,
        openings: openings.map(presentOpening),
      })),
    }
    next += entries.length
  }
}
