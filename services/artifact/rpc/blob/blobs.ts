import type { HandlerContext } from '@connectrpc/connect'
import type { FindMissingBlobsRequest, GetBlobRequest } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import { accessOf, holds } from '#lib/access/caller.ts'
import { fail, failField, failLimit } from '#lib/errors/errors.ts'
import { parseDigest } from '#lib/values/ids.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseNamespace } from '../../domain/namespace.ts'
import { findLeases } from '../../store/blobs/blob-lease.ts'
import { lookUpBlob, type KnownBlob } from '../../store/blobs/blob.ts'
import type { Backend } from '../../deps.ts'
import { keepPresent } from '../../changes/keep-blobs.ts'
import { presentBlob } from '../present.ts'

const MAX_DIGESTS = 1000

export async function findMissingBlobs(backend: Backend, request: FindMissingBlobsRequest, context: HandlerContext) {
  const namespace = parseNamespace(request.namespace, 'namespace')
  accessOf(context).require(namespace)
  if (request.digests.length === 0) failField('digests', 'must not be empty')
  if (request.digests.length > MAX_DIGESTS) failLimit('digests', MAX_DIGESTS, 'digests')
  const digests = request.digests.map((digest, index) => parseDigest(digest, `digests[${index}]`))
  const known = await listPresent(backend, context, namespace, digests)
  return { missingDigests: [...new Set(digests)].filter((digest) => !known.has(digest)) }
}

/** Only who may write can rely on an answer for long; a question of others changes nothing. */
async function listPresent(
  backend: Backend,
  context: HandlerContext,
  namespace: string,
  digests: string[],
): Promise<{ has(digest: string): boolean }> {
  if (holds(accessOf(context).caller, Permission.WRITE, namespace)) {
    return keepPresent(backend, context, namespace, digests)
  }
  const present = await findLeases(forkFor(backend.database, context.signal), namespace, digests)
  return new Set(present.filter(({ isCondemned }) => !isCondemned).map(({ digest }) => digest))
}

export async function getBlob(backend: Backend, request: GetBlobRequest, context: HandlerContext) {
  return { blob: presentBlob(await requireBlobRow(backend, request, context)) }
}

/** The blob that a request names, if the caller may have it and its bytes can be served. */
export async function requireBlob(
  backend: Backend,
  request: { namespace: string; digest: string },
  context: HandlerContext,
): Promise<KnownBlob> {
  const blob = await requireBlobRow(backend, request, context)
  if (blob.state !== 'QUARANTINED') return blob
  const message = `the stored bytes of blob ${blob.digest} are not what they should be; upload them again`
  fail('BLOB_CORRUPT', message, { digest: blob.digest })
}

/** The blob that a request names, in whatever state, if the caller may have it. */
export async function requireBlobRow(
  backend: Backend,
  request: { namespace: string; digest: string },
  context: HandlerContext,
): Promise<KnownBlob> {
  const namespace = parseNamespace(request.namespace, 'namespace')
  accessOf(context).require(namespace)
  const digest = parseDigest(request.digest, 'digest')
  const blob = await lookUpBlob(forkFor(backend.database, context.signal), namespace, digest)
  return blob ?? fail('BLOB_NOT_FOUND', `namespace «${namespace}» has no blob ${digest}`, { digest })
}
