// Objects that nothing needs any more. The janitor deletes them from the store.
import { defineEntity, p } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import { forkFor, type Database, type EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { createTimeColumn, timeColumn, transactionTime } from '#lib/store/time.ts'
import { insertIfAbsent } from '../insert.ts'
import { UNFINISHED_SQL } from '../uploads/upload.ts'

const PendingDeletionSchema = defineEntity({
  name: 'PendingDeletion',
  tableName: 'doomed_object',
  properties: {
    objectKey: p.text().primary(),
    /** The multipart upload in the store that is to be aborted too. */
    storeUploadId: p.text().nullable(),
    /** The time before which no janitor claims it. */
    claimedUntil: timeColumn().nullable(),
    createTime: createTimeColumn(),
    /** True where only multipart uploads are to be aborted, after the upload has ended; the object may belong to a blob. */
    keepsObject: p.boolean().default(false),
    /** How often a janitor has claimed it. */
    attempts: p.integer().default(0),
  },
  indexes: [{ name: 'doomed_object_create_time_index', properties: ['createTime'] }],
})
export class PendingDeletion extends PendingDeletionSchema.class {}
PendingDeletionSchema.setClass(PendingDeletion)

/** Follows the insert of a set of pending deletions. A deletion of the object prevails over an abort that leaves the object. */
export const DELETE_OBJECT_SQL = sql`on conflict (object_key) do update set keeps_object = false,
  store_upload_id = coalesce(excluded.store_upload_id, doomed_object.store_upload_id)`

/** Schedules the deletion of an object, and the abort of its multipart upload where it has one. */
export async function scheduleDeletion(
  em: EntityManager,
  objectKey: string,
  storeUploadId: string | null = null,
): Promise<void> {
  const deletion = { objectKey, keepsObject: false }
  await em.upsert(PendingDeletion, storeUploadId === null ? deletion : { ...deletion, storeUploadId })
}

/** Schedules the deletion of a set of objects. */
export async function scheduleDeletions(em: EntityManager, objectKeys: string[]): Promise<void> {
  await query(em, sql`insert into doomed_object (object_key) select unnest(${objectKeys}::text[]) ${DELETE_OBJECT_SQL}`)
}

/** A request that its sender has abandoned may still reach the store within this time. */
const LATE_SECONDS = 600

/** Schedules the abort of multipart uploads that the store may have begun, or may still begin, without an answer that
 * arrived here. The object itself stays. */
export async function scheduleAbort(em: EntityManager, objectKey: string): Promise<void> {
  await insertIfAbsent(em, PendingDeletion, {
    objectKey,
    keepsObject: true,
    claimedUntil: transactionTime(LATE_SECONDS),
  })
}

export type ClaimedDeletion = Pick<PendingDeletion, 'objectKey' | 'keepsObject'> & { storeUploadId: string | null }

export interface ClaimLimits {
  limit: number
  /** Duration of the first claim; each later claim of the same object lasts twice as long. */
  seconds: number
  maxSeconds: number
}

/** Claims the oldest deletions that are due. An abort waits until the upload of its object has ended. */
export function claimDeletions(database: Database, limits: ClaimLimits): Promise<ClaimedDeletion[]> {
  return query<ClaimedDeletion>(
    forkFor(database),
    sql`update doomed_object set attempts = attempts + 1,
        claimed_until = now() + make_interval(secs => least(${limits.maxSeconds},
          ${limits.seconds} * power(2, least(attempts, 10))))
      where object_key in (
        select object_key from doomed_object doomed where (claimed_until is null or claimed_until < now())
          and not (keeps_object and exists (
            select from upload where object_key = doomed.object_key and state in ${UNFINISHED_SQL}))
          order by create_time limit ${limits.limit} for update skip locked
      ) returning object_key "objectKey", store_upload_id "storeUploadId", keeps_object "keepsObject"`,
  )
}

/** Ends a deletion that is done. It stays where the whole object was scheduled for deletion after the claim. */
export async function finishDeletion(database: Database, { objectKey, keepsObject }: ClaimedDeletion): Promise<void> {
  await forkFor(database).nativeDelete(PendingDeletion, { objectKey, keepsObject })
}
