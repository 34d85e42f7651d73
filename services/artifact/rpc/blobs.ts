import type { HandlerContext } from '@connectrpc/connect'
import type { FindMissingBlobsRequest, GetBlobRequest } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { accessOf } from '#lib/caller.ts'
import { fail, failField, failLimit } from '#lib/errors.ts'
import { parseDigest } from '#lib/ids.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseNamespace } from '../domain/namespace.ts'
import { findBlob, findBlobSizes, type StoredBlob } from '../store/blob.ts'
import type { Backend } from './backend.ts'
import { presentBlob } from './present.ts'

const MAX_DIGESTS = 1000

export async function findMissingBlobs(backend: Backend, request: FindMissingBlobsRequest, context: HandlerContext) {
  const namespace = parseNamespace(request.namespace, 'namespace')
  accessOf(context).require(namespace)
  if (request.digests.length === 0) failField('digests', 'must not be empty')
  if (request.digests.length > MAX_DIGESTS) failLimit('digests', MAX_DIGESTS, 'digests')
  const digests = request.digests.map((digest, index) => parseDigest(digest, `digests[${index}]`))
  const known = await findBlobSizes(forkFor(backend.database, context.signal), namespace, digests)
  return { missingDigests: [...new Set(digests)].filter((digest) => !known.has(digest)) }
}

export async function getBlob(backend: Backend, request: GetBlobRequest, context: HandlerContext) {
  return { blob: presentBlob(await requireBlob(backend, request, context)) }
}

/** The blob that a request names, if the caller may have it. */
export async function requireBlob(
  backend: Backend,
  request: { namespace: string; digest: string },
  context: HandlerContext,
): Promise<StoredBlob> {
  const namespace = parseNamespace(request.namespace, 'namespace')
  accessOf(context).require(namespace)
  const digest = parseDigest(request.digest, 'digest')
  const blob = await findBlob(forkFor(backend.database, context.signal), namespace, digest)
  return blob ?? fail('BLOB_NOT_FOUND', `namespace «${namespace}» has no blob ${digest}`, { digest })
}
