// Checks that the methods for direct transfers share.
import { create } from '@bufbuild/protobuf'
import { timestampFromDate } from '@bufbuild/protobuf/wkt'
import type { HandlerContext } from '@connectrpc/connect'
import {
  SignedRequestSchema,
  type SignedRequest as SignedRequestMessage,
} from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { fail, failField, failLimit } from '#lib/errors/errors.ts'
import { partCountOf } from '../../domain/blob.ts'
import { requireDirectMode } from '../../domain/transfer-modes.ts'
import type { KnownBlob } from '../../store/blobs/blob.ts'
import type { Presigner, SignedRequest } from '../../store/byte-store.ts'
import type { Upload } from '../../store/uploads/upload.ts'
import type { Backend } from '../../deps.ts'
import { renewLease } from '../../changes/blob-leases.ts'
import { requireUpload } from '../upload/require-upload.ts'
import { failClosed } from '../upload/upload-errors.ts'

const MAX_PARTS = 1000

/** Throws LANE_CLOSED or DIRECT_LANE_UNAVAILABLE. */
export function requirePresigner({ bytes, transferModes }: Backend): Presigner {
  requireDirectMode(transferModes)
  return bytes.presigner ?? fail('DIRECT_LANE_UNAVAILABLE', 'the store of this installation has no direct access')
}

/** The caller's open upload. `blob` is set if the namespace has the blob meanwhile; otherwise throws UPLOAD_CLOSED for an
 * upload that is not open. */
export async function requireOpen(
  backend: Backend,
  uploadId: string,
  context: HandlerContext,
): Promise<{ upload: Upload; blob?: KnownBlob | undefined; presigner: Presigner }> {
  const { database } = backend
  const upload = await requireUpload(database, uploadId, 'upload_id', context)
  const presigner = requirePresigner(backend)
  const blob = await renewLease(backend, context, upload.namespace, upload.digest)
  if (!blob && (upload.state !== 'OPEN' || upload.storeUploadId === null)) failClosed(upload)
  return { upload, blob, presigner }
}

export function checkParts(
  parts: { number: number; sha256: Uint8Array }[],
  { sizeBytes, partSizeBytes }: Pick<Upload, 'sizeBytes' | 'partSizeBytes'>,
): void {
  if (parts.length === 0) failField('parts', 'must not be empty')
  if (parts.length > MAX_PARTS) failLimit('parts', MAX_PARTS, 'parts')
  const count = partCountOf(sizeBytes, partSizeBytes)
  const seen = new Set<number>()
  for (const [index, { number, sha256 }] of parts.entries()) {
    if (number < 1 || number > count) failField(`parts[${index}].number`, `must be 1 to ${count}`)
    if (seen.has(number)) failField(`parts[${index}].number`, 'must not repeat')
    if (sha256.length !== 32) failField(`parts[${index}].sha256`, 'must have 32 bytes')
    seen.add(number)
  }
}

export function presentSigned({ method, url, headers, expireTime }: SignedRequest): SignedRequestMessage {
  return create(SignedRequestSchema, { method, url, headers, expireTime: timestampFromDate(expireTime) })
}
