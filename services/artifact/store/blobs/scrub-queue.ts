// The order in which replicas verify stored bytes.
import { sql } from 'kysely'
import { forkFor, type Database } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import type { VerifiableBlob } from './verify-bytes.ts'

export interface ScrubLimits {
  /** Each stored byte is verified once in this time; 0 switches that off. Bytes that a caller found wrong, and quarantined
   * ones, are verified in any case. */
  scrubDays: number
  scrubBytesPerSecond: number
}

const IS_FREE = sql`(verifying_until is null or verifying_until < now())`
/** A fault of the store ends soon, so quarantined bytes are verified again after an hour; bytes that stay wrong must not take
 * more than a small part of the time. */
const isDueAgain = ({ scrubBytesPerSecond }: ScrubLimits) =>
  sql`state = 'QUARANTINED'
    and verify_time < now() - make_interval(secs => 3600 + size_bytes * 40.0 / ${scrubBytesPerSecond})`

/** Claims the bytes that were verified longest ago, for four times as long as the work should take. Returns undefined if
 * nothing is due. */
export async function claimDue(database: Database, limits: ScrubLimits): Promise<VerifiableBlob | undefined> {
  const { scrubDays, scrubBytesPerSecond } = limits
  const [due] = await query<VerifiableBlob>(
    forkFor(database),
    sql`update blob set verifying_until = now() + make_interval(secs => 60 + size_bytes * 4.0 / ${scrubBytesPerSecond})
      where digest = coalesce(
        (select digest from blob where ${isDueAgain(limits)} and ${IS_FREE}
          order by verify_time limit 1 for update skip locked),
        (select digest from blob
          where verify_time < case when ${scrubDays}::int > 0 then now() - make_interval(days => ${scrubDays}::int)
              else '1971-01-01' end and ${IS_FREE}
          order by verify_time limit 1 for update skip locked)
      ) returning digest, object_key "objectKey", size_bytes::float8 "sizeBytes", part_size_bytes::float8 "partSizeBytes",
        part_sha256s "partSha256s", verify_time "verifyTime"`,
  )
  return due
}
