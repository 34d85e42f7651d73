// Removes what nothing needs any more: uploads past their time and objects that became nobody's. Every replica has a
// janitor; they share the work by claims, and never wait for the store inside a transaction.
import { loop, type Background } from '#lib/background.ts'
import type { Logger } from '#lib/log.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import type { ByteStore } from './byte-store.ts'
import { UNFINISHED_SQL } from './upload.ts'

export interface JanitorOptions {
  database: Database
  bytes: ByteStore
  logger: Logger
  everyMs: number
}

const BATCH = 20
const CLAIM_SECONDS = 60
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

/** One round of a janitor. */
export async function sweep({ database, bytes }: JanitorOptions, stopping?: AbortSignal): Promise<void> {
  await expireUploads(database)
  const claim = async () => (stopping?.aborted ? [] : claimDoomed(database))
  for (let doomed = await claim(); doomed.length > 0; doomed = await claim()) {
    for (const object of doomed) {
      if (stopping?.aborted) return
      await removeDoomed(database, bytes, object)
    }
  }
  await forgetClosedUploads(database)
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
        on conflict do nothing`,
  )
}

interface Doomed {
  object_key: string
  store_upload_id: string | null
}

function claimDoomed(database: Database): Promise<Doomed[]> {
  return forkFor(database).execute<Doomed[]>(
    `update doomed_object set claimed_until = now() + make_interval(secs => ?)
      where object_key in (
        select object_key from doomed_object where claimed_until is null or claimed_until < now()
          order by create_time limit ? for update skip locked
      ) returning object_key, store_upload_id`,
    [CLAIM_SECONDS, BATCH],
  )
}

async function removeDoomed(database: Database, bytes: ByteStore, doomed: Doomed): Promise<void> {
  await bytes.abort(doomed.object_key, doomed.store_upload_id)
  await bytes.remove(doomed.object_key)
  await forkFor(database).execute('delete from doomed_object where object_key = ?', [doomed.object_key])
}

async function forgetClosedUploads(database: Database): Promise<void> {
  await forkFor(database).execute(
    `delete from upload where state not in ${UNFINISHED_SQL}
      and (not resumable or expire_time < now() - make_interval(days => ?))`,
    [CLOSED_KEPT_DAYS],
  )
}
