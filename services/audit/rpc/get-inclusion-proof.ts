import type { HandlerContext } from '@connectrpc/connect'
import type { GetInclusionProofRequest } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { accessOf } from '#lib/caller.ts'
import { fail } from '#lib/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseIndex } from '../domain/entry.ts'
import { findEntry, readLogSize } from '../store/read.ts'
import { proveInclusion } from '../store/tiles.ts'
import { requireNewest } from './get-checkpoint.ts'
import type { LogDeps } from './log.ts'
import { failNoEvent, parseWanted } from './wanted.ts'

export async function getInclusionProof(
  { database }: LogDeps,
  request: GetInclusionProofRequest,
  context: HandlerContext,
) {
  const readable = accessOf(context).namespaces()
  const wanted = parseWanted(request.entry)
  const asked = parseIndex(request.treeSize, 'tree_size')
  const em = forkFor(database, context.signal)
  const index = 'index' in wanted ? wanted.index : ((await findEntry(em, wanted, readable)) ?? failNoEvent()).index
  const logSize = await readLogSize(em)
  if (index >= logSize) failNoEvent()
  const size = asked || (await requireNewest(em, index + 1)).size
  if (size > logSize) failTooLarge(size, logSize)
  if (index >= size) fail('EVENT_NOT_FOUND', `the tree of ${size} entries does not have entry ${index}`)
  const { leafHash, proof } = await proveInclusion(em, index, size)
  return { index: BigInt(index), treeSize: BigInt(size), leafHash, hashes: proof }
}

export function failTooLarge(size: number, logSize: number): never {
  const message = `the log has ${logSize} entries and cannot prove anything about ${size}`
  fail('TREE_TOO_LARGE', message, { size: String(size), log_size: String(logSize) })
}
