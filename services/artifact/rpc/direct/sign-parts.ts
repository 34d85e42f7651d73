import type { HandlerContext } from '@connectrpc/connect'
import type { SignPartsRequest } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { forkFor } from '#lib/store/database.ts'
import { partLengthOf } from '../../domain/blob.ts'
import { distrustParts, isDistrusted } from '../../store/uploads/upload-part.ts'
import type { Backend } from '../../deps.ts'
import { presentBlob } from '../present.ts'
import { failClosedNow } from '../upload/upload-errors.ts'
import { checkParts, presentSigned, requireOpen } from './direct-parts.ts'

export async function signParts(backend: Backend, request: SignPartsRequest, context: HandlerContext) {
  const { upload, blob, presigner } = await requireOpen(backend, request.uploadId, context)
  if (blob) return { blob: presentBlob(blob) }
  checkParts(request.parts, upload)
  // The upload is marked before a URL is signed: with the URL, the client can replace parts that were hashed on arrival, so
  // the whole upload must be read back.
  const isReadBack = isDistrusted(upload) || (await distrustParts(forkFor(backend.database), upload.id))
  if (!isReadBack) await failClosedNow(backend, upload.id)
  const { objectKey: key, storeUploadId, sizeBytes, partSizeBytes } = upload
  const parts = request.parts.map(({ number, sha256 }) => {
    const length = partLengthOf(sizeBytes, partSizeBytes, number)
    const signed = presigner.putPart({ key, uploadId: storeUploadId!, number, length, sha256: Buffer.from(sha256) })
    return { number, request: presentSigned(signed) }
  })
  return { parts }
}
