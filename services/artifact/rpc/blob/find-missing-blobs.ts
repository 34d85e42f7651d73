import type { HandlerContext } from '@connectrpc/connect'
import type { FindMissingBlobsRequest } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import { accessOf, holds } from '#lib/access/caller.ts'
import { failField, failLimit } from '#lib/errors/errors.ts'
import { parseDigest } from '#lib/values/ids.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseNamespace } from '../../domain/namespace.ts'
import { findLeases } from '../../store/blobs/blob-lease.ts'
import type { Backend } from '../../deps.ts'
import { renewLeases } from '../../changes/blob-leases.ts'

const MAX_DIGESTS = 1000

export async function findMissingBlobs(backend: Backend, request: FindMissingBlobsRequest, context: HandlerContext) {
  const namespace = parseNamespace(request.namespace, 'namespace')
  accessOf(context).require(namespace)
  if (request.digests.length === 0) failField('digests', 'must not be empty')
  if (request.digests.length > MAX_DIGESTS) failLimit('digests', MAX_DIGESTS, 'digests')
  const digests = request.digests.map((digest, index) => parseDigest(digest, `digests[${index}]`))
  const present = await findPresent(backend, context, namespace, digests)
  return { missingDigests: [...new Set(digests)].filter((digest) => !present.has(digest)) }
}

/** Renews the leases of the blobs if the caller may write, and therefore rely on them. A reader changes nothing. */
async function findPresent(
  backend: Backend,
  context: HandlerContext,
  namespace: string,
  digests: string[],
): Promise<{ has(digest: string): boolean }> {
  if (holds(accessOf(context).caller, Permission.WRITE, namespace)) {
    return renewLeases(backend, context, namespace, digests)
  }
  const present = await findLeases(forkFor(backend.database, context.signal), namespace, digests)
  return new Set(present.filter(({ isCondemned }) => !isCondemned).map(({ digest }) => digest))
}
