// The direct lane: requests that clients send to the store themselves, and what they say has come of them.
import { create } from '@bufbuild/protobuf'
import { timestampFromDate } from '@bufbuild/protobuf/wkt'
import type { HandlerContext } from '@connectrpc/connect'
import {
  SignedRequestSchema,
  type ConfirmPartsRequest,
  type GetDownloadPlanRequest,
  type PartToConfirm,
  type SignedRequest as SignedRequestMessage,
  type SignPartsRequest,
} from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { fail, failField, failLimit } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { partCountOf, partLengthOf } from '../../domain/blob.ts'
import { requireDirectLane } from '../../domain/lanes.ts'
import type { KnownBlob } from '../../store/blobs/blob.ts'
import type { Presigner, SignedRequest } from '../../store/byte-store.ts'
import { distrustParts, isDistrusted, recordForeignParts, type PartInit } from '../../store/uploads/upload-part.ts'
import type { Upload } from '../../store/uploads/upload.ts'
import type { Backend } from '../../deps.ts'
import { requireBlob } from '../blob/blobs.ts'
import { keepBlob } from '../../changes/keep-blobs.ts'
import { presentBlob } from '../present.ts'
import { failSize } from '../streaming/receive.ts'
import { failClosed, failClosedNow } from '../upload/upload-faults.ts'
import { requireUpload } from '../upload/uploads.ts'

const MAX_PARTS = 1000
/** As S3 servers make them; what else a client sends must not reach the store. */
const ETAG = /^"?([0-9A-Za-z+/=_-]{1,128})"?$/

export async function signParts(backend: Backend, request: SignPartsRequest, context: HandlerContext) {
  const { upload, blob, presigner } = await requireOpen(backend, request.uploadId, context)
  if (blob) return { blob: presentBlob(blob) }
  checkParts(request.parts, upload)
  // Before a URL is given out: one for an upload that is being completed could change what was hashed on its way in.
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

export async function confirmParts(backend: Backend, request: ConfirmPartsRequest, context: HandlerContext) {
  const { upload, blob } = await requireOpen(backend, request.uploadId, context)
  if (blob) return { blob: presentBlob(blob) }
  checkParts(request.parts, upload)
  const parts = request.parts.map((part, index) => parseConfirmed(part, upload, `parts[${index}]`))
  const em = forkFor(backend.database, context.signal)
  const isRecorded = await recordForeignParts(em, upload.id, parts, backend.uploadExpireSeconds)
  if (!isRecorded) await failClosedNow(backend, upload.id)
  return { parts: parts.map(({ number, sizeBytes, sha256 }) => ({ number, sizeBytes: BigInt(sizeBytes), sha256 })) }
}

export async function getDownloadPlan(backend: Backend, request: GetDownloadPlanRequest, context: HandlerContext) {
  const blob = await requireBlob(backend, request, context)
  const presigner = requirePresigner(backend)
  await backend.reads.blob(context, blob.digest, 'direct', { offset: 0, end: blob.sizeBytes })
  return {
    blob: presentBlob(blob),
    ...(blob.sizeBytes > 0 && { request: presentSigned(presigner.get(blob.objectKey)) }),
  }
}

function requirePresigner({ bytes, lanes }: Backend): Presigner {
  requireDirectLane(lanes)
  return bytes.presigner ?? fail('DIRECT_LANE_UNAVAILABLE', 'the store of this installation is not open to clients')
}

/** The caller's open upload; or the blob, where the namespace has got it meanwhile. */
async function requireOpen(
  backend: Backend,
  uploadId: string,
  context: HandlerContext,
): Promise<{ upload: Upload; blob?: KnownBlob | undefined; presigner: Presigner }> {
  const { database } = backend
  const upload = await requireUpload(database, uploadId, 'upload_id', context)
  const presigner = requirePresigner(backend)
  const blob = await keepBlob(backend, context, upload.namespace, upload.digest)
  if (!blob && (upload.state !== 'OPEN' || upload.storeUploadId === null)) failClosed(upload)
  return { upload, blob, presigner }
}

function checkParts(parts: { number: number; sha256: Uint8Array }[], { sizeBytes, partSizeBytes }: Upload): void {
  if (parts.length === 0) failField('parts', 'must not be empty')
  if (parts.length > MAX_PARTS) failLimit('parts', MAX_PARTS, 'parts')
  const count = partCountOf(sizeBytes, partSizeBytes)
  const seen = new Set<number>()
  for (const [index, { number, sha256 }] of parts.entries()) {
    if (number < 1 || number > count) failField(`parts[${index}].number`, `must be 1 to ${count}`)
    if (seen.has(number)) failField(`parts[${index}].number`, 'must not be there twice')
    if (sha256.length !== 32) failField(`parts[${index}].sha256`, 'must have 32 bytes')
    seen.add(number)
  }
}

function parseConfirmed(part: PartToConfirm, upload: Upload, field: string): PartInit {
  const { number, sha256 } = part
  const [, etag] = ETAG.exec(part.etag) ?? failField(`${field}.etag`, 'must be an ETag of the store')
  const sizeBytes = partLengthOf(upload.sizeBytes, upload.partSizeBytes, number)
  if (part.sizeBytes !== BigInt(sizeBytes)) {
    failSize(sizeBytes, Number(part.sizeBytes), part.sizeBytes > BigInt(sizeBytes))
  }
  return { number, sizeBytes, sha256: Buffer.from(sha256), etag: etag! }
}

function presentSigned({ method, url, headers, expireTime }: SignedRequest): SignedRequestMessage {
  return create(SignedRequestSchema, { method, url, headers, expireTime: timestampFromDate(expireTime) })
}
