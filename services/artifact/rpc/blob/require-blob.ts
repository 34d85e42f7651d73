import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { parseDigest } from '#lib/values/ids.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseNamespace } from '../../domain/namespace.ts'
import type { KnownBlob } from '../../store/blobs/blob.ts'
import { findBlobInAnyState } from '../../store/blobs/find-blob.ts'
import type { Backend } from '../../deps.ts'

interface BlobName {
  namespace: string
  digest: string
}

/** The blob that a request names. Throws BLOB_CORRUPT if it is quarantined, and otherwise as `requireBlobRow` does. */
export async function requireBlob(backend: Backend, request: BlobName, context: HandlerContext): Promise<KnownBlob> {
  const blob = await requireBlobRow(backend, request, context)
  if (blob.state !== 'QUARANTINED') return blob
  const message = `blob ${blob.digest} is quarantined because its stored bytes are wrong; upload it again`
  fail('BLOB_CORRUPT', message, { digest: blob.digest })
}

/** The blob that a request names, in any state. Throws FIELD_INVALID or BLOB_NOT_FOUND, or what denies access. */
export async function requireBlobRow(backend: Backend, request: BlobName, context: HandlerContext): Promise<KnownBlob> {
  const namespace = parseNamespace(request.namespace, 'namespace')
  accessOf(context).require(namespace)
  const digest = parseDigest(request.digest, 'digest')
  const blob = await findBlobInAnyState(forkFor(backend.database, context.signal), namespace, digest)
  return blob ?? fail('BLOB_NOT_FOUND', `blob ${digest} not found in namespace "${namespace}"`, { digest })
}
