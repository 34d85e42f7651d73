import type { HandlerContext } from '@connectrpc/connect'
import type { GetConsistencyProofRequest } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { failField } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseIndex } from '../../domain/entry.ts'
import { requireNewest } from './get-checkpoint.ts'
import { failTooLarge } from './get-inclusion-proof.ts'
import type { LogDeps } from '../../deps.ts'

export async function getConsistencyProof(
  { database, tree }: LogDeps,
  request: GetConsistencyProofRequest,
  context: HandlerContext,
) {
  const oldSize = parseIndex(request.oldSize, 'old_size')
  const requested = parseIndex(request.newSize, 'new_size')
  if (oldSize === 0) failField('old_size', 'must be at least 1; every tree extends the empty one')
  const newSize = requested || (await requireNewest(forkFor(database, context.signal), oldSize)).size
  if (oldSize > newSize) failField('old_size', `must not exceed new_size, ${newSize}`)
  const logSize = await tree.size(newSize, context.signal)
  if (newSize > logSize) failTooLarge(newSize, logSize)
  const hashes = await tree.proveConsistency(oldSize, newSize, context.signal)
  return { oldSize: BigInt(oldSize), newSize: BigInt(newSize), hashes }
}
