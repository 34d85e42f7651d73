// Removes what nothing needs any more: uploads past their time and objects that became nobody's. Every replica has a
// janitor; they share the work by claims, and never wait for the store inside a transaction.
import { loop, type Background } from '#lib/process/background.ts'
import type { Logger } from '#lib/process/log.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import type { ByteStore } from '../../store/byte-store.ts'
import { ALL_GOES } from '../../store/garbage/doomed-object.ts'
import { requireStore } from '../../store/installation.ts'
import { UNFINISHED_SQL } from '../../store/uploads/upload.ts'

export interface JanitorOptions {
  database: Database
  bytes: ByteStore
  logger: Logger
  everyMs: number
}

const BATCH = 20
/** How long a janitor has for an object; if it fails, the object waits as long, and twice as long after each next time. */
const CLAIM_SECONDS = 60
const MOST_SECONDS = 3600
/** How long GetUpload still knows a closed upload. */
const CLOSED_KEPT_DAYS = 7

export function startJanitor(options: JanitorOptions): Background {
  let failing = false

  const round = async (stopping: AbortSignal): Promise<void> => {
    try {
      await sweep(options, stopping)
      failing = false
    } catch (error) {
      if (!failing) options.logger.warn({ error }, 'what is not needed cannot be removed at present; it is tried again')
      failing = true
    }
  }

  return loop(options.everyMs, round)
}

/** One round of a janitor. What cannot be removed steps back and keeps nothing else waiting. */
export async function sweep({ database, bytes }: JanitorOptions, stopping?: AbortSignal): Promise<void> {
  await expireUploads(database)
  const claim = async () => (stopping?.aborted ? [] : claimDoomed(database))
  const failures: unknown[] = []
  for (let doomed = await claim(); doomed.length > 0; doomed = await claim()) {
    const before = failures.length
    // Otherwise all that a store which is away does not have would count as removed.
    await requireStore({ database, bytes })
    for (const object of doomed) {
      if (stopping?.aborted) return
      await removeDoomed(database, bytes, object).catch((error: unknown) => failures.push(error))
    }
    // The store as a whole is out of reach, it seems.
    if (failures.length - before === doomed.length) break
  }
  await forgetClosedUploads(database)
  if (failures.length > 0) throw failures[0]
}

async function expireUploads(database: Database): Promise<void> {
  await forkFor(database).execute(
    `with due as (
        select id from upload
          where state in ${UNFINISHED_SQL} and expire_time < now()
            and (lease_until is null or lease_until < now())
          for update skip locked
      ), expired as (
        update upload set state = 'EXPIRED', lease_until = null from due where upload.id = due.id
          returning object_key, store_upload_id
      )
      insert into doomed_object (object_key, store_upload_id) select object_key, store_upload_id from expired
        ${ALL_GOES}`,
  )
}

interface Doomed {
  object_key: string
  store_upload_id: string | null
  keeps_object: boolean
}

function claimDoomed(database: Database): Promise<Doomed[]> {
  return forkFor(database).execute<Doomed[]>(
    `update doomed_object set attempts = attempts + 1,
        claimed_until = now() + make_interval(secs => least(?, ? * power(2, least(attempts, 10))))
      where object_key in (
        select object_key from doomed_object doomed where (claimed_until is null or claimed_until < now())
          and not (keeps_object and exists (
            select from upload where object_key = doomed.object_key and state in ${UNFINISHED_SQL}))
          order by create_time limit ? for update skip locked
      ) returning object_key, store_upload_id, keeps_object`,
    [MOST_SECONDS, CLAIM_SECONDS, BATCH],
  )
}

async function removeDoomed(database: Database, bytes: ByteStore, doomed: Doomed): Promise<void> {
  const { object_key: key, keeps_object: keepsObject } = doomed
  await bytes.abort(key, doomed.store_upload_id)
  if (!keepsObject) await bytes.remove(key)
  // Not where more is to go than when it was claimed.
  await forkFor(database).execute('delete from doomed_object where object_key = ? and keeps_object = ?', [
    key,
    keepsObject,
  ])
}

async function forgetClosedUploads(database: Database): Promise<void> {
  await forkFor(database).execute(
    `delete from upload where state not in ${UNFINISHED_SQL}
      and (not resumable or expire_time < now() - make_interval(days => ?))`,
    [CLOSED_KEPT_DAYS],
  )
}
