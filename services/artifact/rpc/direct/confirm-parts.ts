import type { HandlerContext } from '@connectrpc/connect'
import type { ConfirmPartsRequest, PartToConfirm } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { failField } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { partLengthOf } from '../../domain/blob.ts'
import { recordDirectParts, type PartInit } from '../../store/uploads/upload-part.ts'
import type { Upload } from '../../store/uploads/upload.ts'
import type { Backend } from '../../deps.ts'
import { presentBlob } from '../present.ts'
import { failSize } from '../streaming/mismatch.ts'
import { failClosedNow } from '../upload/upload-errors.ts'
import { checkParts, requireOpen } from './direct-parts.ts'

/** An ETag as S3 servers create them. Other text from a client must not reach the store. */
const ETAG = /^"?([0-9A-Za-z+/=_-]{1,128})"?$/

export async function confirmParts(backend: Backend, request: ConfirmPartsRequest, context: HandlerContext) {
  const { upload, blob } = await requireOpen(backend, request.uploadId, context)
  if (blob) return { blob: presentBlob(blob) }
  checkParts(request.parts, upload)
  const parts = request.parts.map((part, index) => parsePart(part, upload, `parts[${index}]`))
  const em = forkFor(backend.database, context.signal)
  const isRecorded = await recordDirectParts(em, upload.id, parts, backend.uploadExpireSeconds)
  if (!isRecorded) await failClosedNow(backend, upload.id)
  return { parts: parts.map(({ number, sizeBytes, sha256 }) => ({ number, sizeBytes: BigInt(sizeBytes), sha256 })) }
}

function parsePart(part: PartToConfirm, upload: Upload, field: string): PartInit {
  const { number, sha256 } = part
  const [, etag] = ETAG.exec(part.etag) ?? failField(`${field}.etag`, 'must be an ETag of the store')
  const sizeBytes = partLengthOf(upload.sizeBytes, upload.partSizeBytes, number)
  if (part.sizeBytes !== BigInt(sizeBytes)) {
    failSize(sizeBytes, Number(part.sizeBytes), part.sizeBytes > BigInt(sizeBytes))
  }
  return { number, sizeBytes, sha256: Buffer.from(sha256), etag: etag! }
}
