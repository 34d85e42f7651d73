// Objects that nothing needs any more, until the janitor has removed them.
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { EntityManager } from '#lib/store/database.ts'
import { createTimeColumn, timeColumn } from '#lib/store/time.ts'

const DoomedObjectSchema = defineEntity({
  name: 'DoomedObject',
  tableName: 'doomed_object',
  properties: {
    objectKey: p.text().primary(),
    /** Set where an unfinished object is to be given up too. */
    storeUploadId: p.text().nullable(),
    /** Nobody else sees to it before. */
    claimedUntil: timeColumn().nullable(),
    createTime: createTimeColumn(),
    /** Only what is unfinished goes, after its upload has ended; the object may be a blob's. */
    keepsObject: p.boolean().default(false),
    /** How often a janitor has claimed it. */
    attempts: p.integer().default(0),
  },
  indexes: [{ name: 'doomed_object_create_time_index', properties: ['createTime'] }],
})
export class DoomedObject extends DoomedObjectSchema.class {}
DoomedObjectSchema.setClass(DoomedObject)

/** For every insertion: where only what is unfinished was to go, all goes. */
export const ALL_GOES = `on conflict (object_key) do update set keeps_object = false,
  store_upload_id = coalesce(excluded.store_upload_id, doomed_object.store_upload_id)`

/** Longer than a request wanders about that its sender has given up. */
const LATE_SECONDS = 600

/** The object may have been begun more often than is known, and perhaps will be: whatever its upload does not use is
 * given up in the end. */
export async function doubtBeginning(em: EntityManager, objectKey: string): Promise<void> {
  await em.execute(
    `insert into doomed_object (object_key, keeps_object, claimed_until)
      values (?, true, now() + make_interval(secs => ?)) on conflict do nothing`,
    [objectKey, LATE_SECONDS],
  )
}
