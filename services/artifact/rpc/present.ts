import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { BlobSchema, BlobState, type Blob } from '#gen/modelkeep/artifact/v1/blob_pb.ts'
import { ManifestFileSchema, ManifestSchema, type Manifest } from '#gen/modelkeep/artifact/v1/manifest_pb.ts'
import {
  UploadFailureReason,
  UploadFailureSchema,
  UploadSchema,
  UploadState,
  type Upload,
  type UploadFailure,
} from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { failLimit } from '#lib/errors/errors.ts'
import { forEachYielding } from '#lib/values/event-loop.ts'
import { rfc3339, toTimestamp } from '#lib/store/time.ts'
import { partCountOf } from '../domain/blob.ts'
import type { File } from '../domain/manifest.ts'
import type { KnownBlob } from '../store/blobs/blob.ts'
import type { Manifest as StoredManifest } from '../store/blobs/manifest.ts'
import type { Upload as StoredUpload, UploadPart as StoredPart } from '../store/uploads/upload.ts'

const SHA256_BYTES = 32
/** The library takes up to a quarter of a second to encode so much as JSON, within one turn of the event loop. */
const MAX_JSON_CONTENT_BYTES = 4 * 1024 * 1024

export function presentBlob(blob: KnownBlob): Blob {
  const partSha256s: Uint8Array[] = []
  for (let from = 0; from < blob.partSha256s.length; from += SHA256_BYTES) {
    partSha256s.push(blob.partSha256s.subarray(from, from + SHA256_BYTES))
  }
  return create(BlobSchema, {
    digest: blob.digest,
    sizeBytes: BigInt(blob.sizeBytes),
    createTime: toTimestamp(blob.createTime),
    partSizeBytes: BigInt(partSha256s.length > 1 ? blob.partSizeBytes : 0),
    partSha256s,
    state: BlobState[blob.state],
    ...(blob.state === 'CONDEMNED' ? { condemnTime: toTimestamp(blob.condemnTime!) } : {}),
    // An earlier time would reveal that another namespace had the bytes before.
    ...(isLater(blob.verifyTime, blob.createTime) ? { verifyTime: toTimestamp(blob.verifyTime) } : {}),
  })
}

function isLater(time: string, than: string): boolean {
  return rfc3339(time) > rfc3339(than)
}

type StoredState = Exclude<keyof typeof UploadState, 'UNSPECIFIED'>

export function presentUpload(upload: StoredUpload, parts: StoredPart[]): Upload {
  return create(UploadSchema, {
    id: upload.id,
    namespace: upload.namespace,
    digest: upload.digest,
    sizeBytes: BigInt(upload.sizeBytes),
    partSizeBytes: BigInt(upload.partSizeBytes),
    partCount: partCountOf(upload.sizeBytes, upload.partSizeBytes),
    parts: parts.map(({ number, sizeBytes, sha256 }) => ({ number, sizeBytes: BigInt(sizeBytes), sha256 })),
    state: UploadState[upload.state as StoredState],
    createTime: toTimestamp(upload.createTime),
    expireTime: toTimestamp(upload.expireTime),
    ...presentFailure(upload),
  })
}

function presentFailure(upload: StoredUpload): { failure?: UploadFailure } {
  const { failureReason, failureMessage, failurePart } = upload
  if (!failureReason) return {}
  const failure = { reason: UploadFailureReason[failureReason], message: failureMessage ?? '' }
  return { failure: create(UploadFailureSchema, { ...failure, partNumber: failurePart ?? 0 }) }
}

/** Throws LIMIT_EXCEEDED if the response would be JSON, and too large for it. */
export function requireFewForJson({ responseHeader }: HandlerContext, content: Uint8Array): void {
  if (content.length <= MAX_JSON_CONTENT_BYTES || !responseHeader.get('content-type')?.includes('json')) return
  failLimit('manifest.content', MAX_JSON_CONTENT_BYTES, 'bytes in a JSON response; use gRPC or Connect with protobuf')
}

/** `files`: those that the content lists. */
export async function presentManifest(
  { digest, totalSizeBytes, content, createTime }: Omit<StoredManifest, 'namespace' | 'fileCount' | 'leaseTime'>,
  files: File[],
  signal: AbortSignal,
): Promise<Manifest> {
  const manifest = create(ManifestSchema, {
    digest,
    totalSizeBytes,
    content: Buffer.from(content),
    createTime: toTimestamp(createTime),
  })
  await forEachYielding(files, signal, (file) => {
    manifest.files.push(create(ManifestFileSchema, { ...file, sizeBytes: BigInt(file.sizeBytes) }))
  })
  return manifest
}
