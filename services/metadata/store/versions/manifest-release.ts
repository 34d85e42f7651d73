import { defineEntity, p } from '@mikro-orm/postgresql'
import type { EntityManager } from '#lib/store/database.ts'
import { timeColumn } from '#lib/store/time.ts'

/** A manifest that the artifact service is to be told to let go. */
const ManifestReleaseSchema = defineEntity({
  name: 'ManifestRelease',
  tableName: 'manifest_release',
  properties: {
    versionId: p.uuid().primary(),
    namespace: p.text(),
    digest: p.text(),
    /** Nobody tries before. */
    dueTime: timeColumn(),
    attempts: p.integer().default(0),
  },
  indexes: [{ name: 'manifest_release_due_time_index', properties: ['dueTime'] }],
})
export class ManifestRelease extends ManifestReleaseSchema.class {}
ManifestReleaseSchema.setClass(ManifestRelease)

export interface Retention {
  version_id: string
  namespace: string
  digest: string
}

/** Far longer than any call lasts. */
const UNCERTAIN_SECONDS = 900
/** How long one replica has for a release before another tries. */
const LEASE_SECONDS = 60
const LONGEST_WAIT_SECONDS = 300

/** Written before a manifest is retained, so that a process that dies in between leaves no garbage behind. */
export async function foreseeRelease(em: EntityManager, retention: Retention): Promise<void> {
  await em.execute(
    `insert into manifest_release (version_id, namespace, digest, due_time)
      values (?, ?, ?, now() + make_interval(secs => ?))`,
    [retention.version_id, retention.namespace, retention.digest, UNCERTAIN_SECONDS],
  )
}

/** In the transaction that creates the version. False when the release has already begun. */
export async function withdrawRelease(em: EntityManager, versionId: string): Promise<boolean> {
  const rows = await em.execute<unknown[]>(
    'delete from manifest_release where version_id = ? and attempts = 0 returning 1',
    [versionId],
  )
  return rows.length > 0
}

/** The version has not come to be: let go at once. */
export async function hastenRelease(em: EntityManager, versionId: string): Promise<void> {
  await em.execute('update manifest_release set due_time = now() where version_id = ? and attempts = 0', [versionId])
}

/** Takes some that are due, so that no other replica tries the same for a while. */
export async function claimReleases(em: EntityManager, limit: number): Promise<Retention[]> {
  return em.execute<Retention[]>(
    `update manifest_release set attempts = attempts + 1, due_time = now() + make_interval(secs => ?)
      where version_id in (
        select version_id from manifest_release where due_time <= now()
        order by due_time limit ? for update skip locked
      ) returning version_id, namespace, digest`,
    [LEASE_SECONDS, limit],
  )
}

export async function finishRelease(em: EntityManager, versionId: string): Promise<void> {
  await em.execute('delete from manifest_release where version_id = ?', [versionId])
}

/** Waits longer after each failure. */
export async function postponeRelease(em: EntityManager, versionId: string): Promise<void> {
  await em.execute(
    `update manifest_release set due_time = now() + make_interval(secs => least(power(2, least(attempts, 20)), ?))
      where version_id = ?`,
    [LONGEST_WAIT_SECONDS, versionId],
  )
}
