import { defineEntity, p, raw } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { prepare, runPrepared } from '#lib/store/prepared.ts'
import { query } from '#lib/store/query.ts'
import { timeColumn, transactionTime } from '#lib/store/time.ts'
import { readRow } from '../rows.ts'

/** A manifest that the release job releases in the artifact service when it is due. */
const ManifestReleaseSchema = defineEntity({
  name: 'ManifestRelease',
  tableName: 'manifest_release',
  properties: {
    versionId: p.uuid().primary(),
    namespace: p.text(),
    digest: p.text(),
    dueTime: timeColumn(),
    attempts: p.integer().default(0),
  },
  indexes: [{ name: 'manifest_release_due_time_index', properties: ['dueTime'] }],
})
export class ManifestRelease extends ManifestReleaseSchema.class {}
ManifestReleaseSchema.setClass(ManifestRelease)

export type Retention = Pick<ManifestRelease, 'versionId' | 'namespace' | 'digest'>

/** Delay of the first attempt, far longer than any CreateVersion call lasts. */
const FIRST_ATTEMPT_SECONDS = 900
/** Time after which another replica retries a release that a replica has claimed. */
const LEASE_SECONDS = 60
const MAX_RETRY_SECONDS = 300

const afterAttempts = () =>
  raw('now() + make_interval(secs => least(power(2, least(attempts, 20)), ?))', [MAX_RETRY_SECONDS])

const SCHEDULE = prepare(
  'schedule-release',
  sql`insert into manifest_release (version_id, namespace, digest, due_time)
    values ($1, $2, $3, now() + make_interval(secs => $4))`,
)

/** Hot write of CreateVersion: schedules the release before the manifest is retained, so that a crash in between leaves
 * no garbage. The statement that inserts the version cancels it. */
export async function scheduleRelease(em: EntityManager, retention: Retention): Promise<void> {
  await runPrepared(em, SCHEDULE, [retention.versionId, retention.namespace, retention.digest, FIRST_ATTEMPT_SECONDS])
}

/** Makes the release due now, because the version was not created. */
export async function expediteRelease(em: EntityManager, versionId: string): Promise<void> {
  await em.nativeUpdate(ManifestRelease, { versionId, attempts: 0 }, { dueTime: transactionTime() })
}

/** Locks releases that are due, and postpones them by the lease of this replica. */
export async function claimReleases(em: EntityManager, limit: number): Promise<Retention[]> {
  const rows = await query<object>(
    em,
    sql`update manifest_release set attempts = attempts + 1, due_time = now() + make_interval(secs => ${LEASE_SECONDS})
      where version_id in (
        select version_id from manifest_release where due_time <= now()
        order by due_time limit ${limit} for update skip locked
      ) returning *`,
  )
  return rows.map((row) => readRow(em, ManifestRelease, row))
}

export async function finishRelease(em: EntityManager, versionId: string): Promise<void> {
  await em.nativeDelete(ManifestRelease, { versionId })
}

/** Postpones the release, longer after each failure. */
export async function postponeRelease(em: EntityManager, versionId: string): Promise<void> {
  await em.nativeUpdate(ManifestRelease, { versionId }, { dueTime: afterAttempts() })
}
