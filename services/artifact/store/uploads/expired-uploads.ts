// The end of uploads that nobody has completed or aborted.
import { sql } from 'kysely'
import { forkFor, type Database } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { transactionTime } from '#lib/store/time.ts'
import { DELETE_OBJECT_SQL } from '../garbage/pending-deletion.ts'
import { UNFINISHED, UNFINISHED_SQL, Upload } from './upload.ts'

/** Expires the uploads whose time is over and that no call is completing, and schedules the deletion of their objects. */
export async function expireUploads(database: Database): Promise<void> {
  await query(
    forkFor(database),
    sql`with due as (
        select id from upload
          where state in ${UNFINISHED_SQL} and expire_time < now()
            and (lease_until is null or lease_until < now())
          for update skip locked
      ), expired as (
        update upload set state = 'EXPIRED', lease_until = null from due where upload.id = due.id
          returning object_key, store_upload_id
      )
      insert into doomed_object (object_key, store_upload_id) select object_key, store_upload_id from expired
        ${DELETE_OBJECT_SQL}`,
  )
}

/** GetUpload finds a closed upload for seven days after its time of expiry. */
const CLOSED_SECONDS = 7 * 24 * 3600

export async function deleteClosedUploads(database: Database): Promise<void> {
  await forkFor(database).nativeDelete(Upload, {
    state: { $nin: UNFINISHED },
    $or: [{ resumable: false }, { expireTime: { $lt: transactionTime(-CLOSED_SECONDS) } }],
  })
}
