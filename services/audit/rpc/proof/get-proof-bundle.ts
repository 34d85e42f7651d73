import type { HandlerContext } from '@connectrpc/connect'
import type { GetProofBundleRequest } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { formatProof } from '#lib/tlog/proof-file.ts'
import { forkFor } from '#lib/store/database.ts'
import { findEntry } from '../../store/log/find-entry.ts'
import { requireNewest } from './get-checkpoint.ts'
import type { LogDeps } from '../../deps.ts'
import { presentOpening } from '../present-entry.ts'
import { failNoEvent, parseEntryKey } from '../parse-entry-key.ts'

export async function getProofBundle(
  { database, tree }: LogDeps,
  request: GetProofBundleRequest,
  context: HandlerContext,
) {
  const readable = accessOf(context).namespaces()
  const em = forkFor(database, context.signal)
  const { index, leaf, openings } = (await findEntry(em, parseEntryKey(request.entry), readable)) ?? failNoEvent()
  const { size, note } = await requireNewest(em, index + 1)
  const { proof } = await tree.proveInclusion(index, size, context.signal)
  const bundle = formatProof({ index: BigInt(index), hashes: proof, checkpoint: note })
  return { proof: bundle, leaf, openings: openings.map(presentOpening) }
}
