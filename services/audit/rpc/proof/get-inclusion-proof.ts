import type { HandlerContext } from '@connectrpc/connect'
import type { GetInclusionProofRequest } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseIndex } from '../../domain/entry.ts'
import { findIndex } from '../../store/log/find-entry.ts'
import { requireNewest } from './get-checkpoint.ts'
import type { LogDeps } from '../../deps.ts'
import { failNoEvent, parseEntryKey } from '../parse-entry-key.ts'

export async function getInclusionProof(
  { database, tree }: LogDeps,
  request: GetInclusionProofRequest,
  context: HandlerContext,
) {
  const readable = accessOf(context).namespaces()
  const key = parseEntryKey(request.entry)
  const requested = parseIndex(request.treeSize, 'tree_size')
  const em = forkFor(database, context.signal)
  const index = 'index' in key ? key.index : ((await findIndex(em, key.eventId, readable)) ?? failNoEvent())
  const logSize = await tree.size(Math.max(index + 1, requested), context.signal)
  if (index >= logSize) failNoEvent()
  if (requested > logSize) failTooLarge(requested, logSize)
  const size = requested || (await requireNewest(em, index + 1)).size
  if (index >= size) fail('EVENT_NOT_FOUND', `entry ${index} not found in the tree of ${size} entries`)
  const { leafHash, proof } = await tree.proveInclusion(index, size, context.signal)
  return { index: BigInt(index), treeSize: BigInt(size), leafHash, hashes: proof }
}

export function failTooLarge(size: number, logSize: number): never {
  const message = `tree of ${size} entries exceeds the log, which has ${logSize}`
  fail('TREE_TOO_LARGE', message, { size: String(size), log_size: String(logSize) })
}
