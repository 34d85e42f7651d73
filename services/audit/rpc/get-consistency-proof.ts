import type { HandlerContext } from '@connectrpc/connect'
import type { GetConsistencyProofRequest } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { failField } from '#lib/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseIndex } from '../domain/entry.ts'
import { readLogSize } from '../store/read.ts'
import { proveConsistency } from '../store/tiles.ts'
import { requireNewest } from './get-checkpoint.ts'
import { failTooLarge } from './get-inclusion-proof.ts'
import type { LogDeps } from './log.ts'

export async function getConsistencyProof(
  { database }: LogDeps,
  request: GetConsistencyProofRequest,
  context: HandlerContext,
) {
  const oldSize = parseIndex(request.oldSize, 'old_size')
  const asked = parseIndex(request.newSize, 'new_size')
  if (oldSize === 0) failField('old_size', 'must be at least 1: every tree continues the empty one')
  const em = forkFor(database, context.signal)
  const newSize = asked || (await requireNewest(em, oldSize)).size
  if (oldSize > newSize) failField('old_size', `must not be over new_size, ${newSize}`)
  const logSize = await readLogSize(em)
  if (newSize > logSize) failTooLarge(newSize, logSize)
  const hashes = await proveConsistency(em, oldSize, newSize)
  return { oldSize: BigInt(oldSize), newSize: BigInt(newSize), hashes }
}
