// The parts of a file. Each has its own digest, so that parts can be downloaded in any order and retried alone.
import type { Blob } from '#gen/modelkeep/artifact/v1/blob_pb.ts'
import { failIntegrity, type RemoteFile } from './manifest.ts'

export interface FilePart {
  index: number
  offset: number
  size: number
  sha256: Buffer
}

/** Returns the whole file as one part. */
export function wholeFile({ digest, size }: RemoteFile): FilePart[] {
  return [{ index: 0, offset: 0, size, sha256: Buffer.from(digest.slice('sha256:'.length), 'hex') }]
}

/** Returns the parts that the server states. Their digests are not proven, so the whole file is verified as well. */
export function partsOf(blob: Blob | undefined, file: RemoteFile): FilePart[] {
  if (!blob || blob.digest !== file.digest || blob.sizeBytes !== BigInt(file.size)) {
    failIntegrity(`server returned another file than "${file.path}"`)
  }
  const partSize = Number(blob.partSizeBytes)
  if (partSize === 0) return wholeFile(file)
  const count = Math.ceil(file.size / partSize)
  const isComplete = partSize > 0 && blob.partSha256s.length === count
  if (!isComplete || blob.partSha256s.some((sha256) => sha256.length !== 32)) {
    failIntegrity(`server divides "${file.path}" into parts that do not add up to the file`)
  }
  return blob.partSha256s.map((sha256, index) => {
    const offset = index * partSize
    return { index, offset, size: Math.min(partSize, file.size - offset), sha256: Buffer.from(sha256) }
  })
}
