// Errors for bytes that differ from what the client announced.
import { fail } from '#lib/errors/errors.ts'

/** `hasMore`: the client sent at least `actual` bytes, and has not ended the stream. */
export function failSize(announced: number, actual: number, hasMore: boolean): never {
  const message = hasMore
    ? `the client announced ${announced} bytes and sent more`
    : `the client announced ${announced} bytes and sent ${actual}`
  fail('SIZE_MISMATCH', message, { expected: String(announced), actual: String(actual) })
}

/** Throws SIZE_MISMATCH for a blob that the namespace has with another size. */
export function failKnownSize(announced: number, known: number): never {
  const message = `the blob with this digest has ${known} bytes, not the announced ${announced}`
  fail('SIZE_MISMATCH', message, { expected: String(announced), actual: String(known) })
}

export function failDigest(expected: string, actual: string): never {
  fail('DIGEST_MISMATCH', `the bytes have the digest ${actual}, not ${expected}`, { expected, actual })
}
