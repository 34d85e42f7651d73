// Sizes of blobs and their parts.
import { failField, failLimit } from '#lib/errors/errors.ts'

const MIB = 1024 * 1024
export const MAX_BLOB_BYTES = 5 * 1024 * 1024 * MIB
export const MAX_CHUNK_BYTES = MIB
const PART_BYTES = 16 * MIB
/** S3 allows 10,000 parts. */
const MAX_PARTS = 9500

/** The size of every part but the last. */
export function partSizeOf(sizeBytes: number): number {
  return Math.max(PART_BYTES, Math.ceil(sizeBytes / MAX_PARTS / MIB) * MIB)
}

export function partCountOf(sizeBytes: number, partSizeBytes: number): number {
  return Math.ceil(sizeBytes / partSizeBytes)
}

/** The length of part `number`, from 1. */
export function partLengthOf(sizeBytes: number, partSizeBytes: number, number: number): number {
  return Math.min(partSizeBytes, sizeBytes - (number - 1) * partSizeBytes)
}

export function parseBlobSize(size: bigint, field: string): number {
  if (size < 0n) failField(field, 'must not be negative')
  if (size > BigInt(MAX_BLOB_BYTES)) failLimit(field, MAX_BLOB_BYTES, 'bytes')
  return Number(size)
}
