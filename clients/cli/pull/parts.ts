// The parts of a file, each with its own digest, so that they can be fetched in any order and again alone.
import type { Blob } from '#gen/modelkeep/artifact/v1/blob_pb.ts'
import { distrust, type RemoteFile } from './manifest.ts'

export interface FilePart {
  index: number
  offset: number
  size: number
  sha256: Buffer
}

/** A file as one part, which needs nothing but the manifest. */
export function wholeFile({ digest, size }: RemoteFile): FilePart[] {
  return [{ index: 0, offset: 0, size, sha256: Buffer.from(digest.slice('sha256:'.length), 'hex') }]
}

/** As the server divides it. The part digests are its word alone: the whole has to have the manifest's digest too. */
export function partsOf(blob: Blob | undefined, file: RemoteFile): FilePart[] {
  if (!blob || blob.digest !== file.digest || blob.sizeBytes !== BigInt(file.size)) {
    distrust(`server returned another file than "${file.path}"`)
  }
  const partSize = Number(blob.partSizeBytes)
  if (partSize === 0) return wholeFile(file)
  const count = Math.ceil(file.size / partSize)
  const isComplete = partSize > 0 && blob.partSha256s.length === count
  if (!isComplete || blob.partSha256s.some((sha256) => sha256.length !== 32)) {
    distrust(`server divides "${file.path}" into parts that do not add up to the file`)
  }
  return blob.partSha256s.map((sha256, index) => {
    const offset = index * partSize
    return { index, offset, size: Math.min(partSize, file.size - offset), sha256: Buffer.from(sha256) }
  })
}
