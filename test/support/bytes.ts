// Bytes and the streams that carry them.
import type { Client } from '@connectrpc/connect'
import { createCipheriv, createHash } from 'node:crypto'
import type { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import type { Upload } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import type { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { CHUNK_BYTES } from './artifact.ts'

/** Incompressible bytes that depend on the seed. */
export function makeBytes(length: number, seed: string): Buffer {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length))
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${sha256(bytes).toString('hex')}`
}

export interface Announced {
  namespace?: string
  digest?: string
  sizeBytes?: bigint
  /** Called before each chunk. */
  onChunk?: (index: number) => Promise<void> | void
  chunkBytes?: number
}

/** The messages of UploadBlob. The announced digest and size may differ from the sent bytes. */
export async function* blobMessages(bytes: Uint8Array, announced: Announced = {}) {
  const { namespace = 'default', digest = digestOf(bytes), sizeBytes = BigInt(bytes.length) } = announced
  yield { message: { case: 'header' as const, value: { namespace, digest, sizeBytes } } }
  yield* chunkMessages(bytes, announced)
}

export async function* chunkMessages(bytes: Uint8Array, { onChunk, chunkBytes = CHUNK_BYTES }: Announced = {}) {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    await onChunk?.(at / chunkBytes)
    yield { message: { case: 'chunk' as const, value: bytes.subarray(at, at + chunkBytes) } }
  }
}

export async function* partMessages(
  uploadId: string,
  number: number,
  bytes: Uint8Array,
  announcedSha256 = sha256(bytes),
) {
  yield { message: { case: 'header' as const, value: { uploadId, number, sha256: announcedSha256 } } }
  yield* chunkMessages(bytes)
}

/** The bytes of part `number` of a blob. */
export function partOf(bytes: Uint8Array, upload: Upload, number: number): Uint8Array {
  const size = Number(upload.partSizeBytes)
  return bytes.subarray((number - 1) * size, number * size)
}

export async function startUpload(client: Client<typeof UploadService>, bytes: Uint8Array): Promise<Upload> {
  const { result } = await client.startUpload({ digest: digestOf(bytes), sizeBytes: BigInt(bytes.length) })
  if (result.case !== 'upload') throw new Error('the blob is there already')
  return result.value
}

export async function writePart(
  client: Client<typeof UploadService>,
  upload: Upload,
  bytes: Uint8Array,
  number: number,
): Promise<void> {
  await client.writePart(partMessages(upload.id, number, partOf(bytes, upload, number)))
}

export async function download(
  client: Client<typeof BlobService>,
  request: { namespace?: string; digest: string; offset?: bigint; length?: bigint },
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const { message } of client.downloadBlob(request)) {
    if (message.case === 'chunk') chunks.push(message.value)
  }
  return Buffer.concat(chunks)
}
