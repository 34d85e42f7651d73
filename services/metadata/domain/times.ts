import { failField } from '#lib/errors/errors.ts'

const YEAR_1 = -62_135_596_800n
const YEAR_10_000 = 253_402_300_800n

/** Requires a time in the range of `google.protobuf.Timestamp`. */
export function parseTime<T extends { seconds: bigint; nanos: number }>(time: T | undefined, field: string): T {
  if (!time) failField(field, 'is required')
  const inRange = time.seconds >= YEAR_1 && time.seconds < YEAR_10_000 && time.nanos >= 0 && time.nanos < 1_000_000_000
  if (!inRange) failField(field, 'must be a time from year 1 to 9999')
  return time
}
