// A range of the bytes of a blob.
import { fail, failField } from '#lib/errors/errors.ts'

export interface Range {
  offset: number
  /** Position after the last byte. */
  end: number
}

/** A length of 0, or one beyond the end of the blob, means to the end. Throws FIELD_INVALID or RANGE_INVALID. */
export function parseRange(request: { offset: bigint; length: bigint }, sizeBytes: number): Range {
  const { offset, length } = request
  if (offset < 0n) failField('offset', 'must not be negative')
  if (length < 0n) failField('length', 'must not be negative')
  if (offset > BigInt(sizeBytes)) {
    const metadata = { offset: String(offset), size: String(sizeBytes) }
    fail('RANGE_INVALID', `offset ${offset} is beyond the end of the blob of ${sizeBytes} bytes`, metadata)
  }
  const left = BigInt(sizeBytes) - offset
  const taken = length === 0n || length > left ? left : length
  return { offset: Number(offset), end: Number(offset + taken) }
}
