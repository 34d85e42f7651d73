import type { HandlerContext } from '@connectrpc/connect'
import type { QueryWriteStatusRequest } from '#gen/google/bytestream/bytestream_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { isEmptyBlob, parseUploadName } from '../../domain/resource-name.ts'
import { findProgress } from '../../store/uploads/upload-progress.ts'
import type { Backend } from '../../deps.ts'
import { isStored } from './write.ts'

export async function queryWriteStatus(backend: Backend, request: QueryWriteStatusRequest, context: HandlerContext) {
  const blob = parseUploadName(request.resourceName)
  const access = accessOf(context)
  access.require(blob.namespace)
  const { digest, sizeBytes } = blob
  const { principal } = access.caller
  // The progress is read before the blob: an upload that completes in between is a blob by then.
  const progress = await findProgress(forkFor(backend.database, context.signal), { ...blob, principal })
  if (isEmptyBlob(blob) || (await isStored(backend, blob, context))) {
    return { committedSize: BigInt(sizeBytes), complete: true }
  }
  if (!progress) fail('BLOB_NOT_FOUND', `blob ${digest} not found; nothing of it has been written`, { digest })
  return { committedSize: BigInt(progress.committedBytes), complete: false }
}
