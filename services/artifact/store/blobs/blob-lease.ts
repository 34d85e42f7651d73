// Leases: what a caller was told is there, or has just stored, stays for a while, so that a manifest can name it. The
// lease begins anew with each such answer; how long it lasts is the collector's affair.
import type { EntityManager } from '#lib/store/database.ts'
import { blobResource, type Emit } from '../events.ts'

/** A lease that began so lately is not begun anew, which spares most writes. Far shorter than any lease. */
const FRESH_SECONDS = 600

export interface LeasedBlob {
  digest: string
  sizeBytes: number
  /** Its lease began lately, and it is not condemned: it may be relied on without `keepBlobs`. */
  isFresh: boolean
  isCondemned: boolean
}

/** Those of the digests that the namespace has, with bytes that are right as far as is known. */
export async function findLeases(em: EntityManager, namespace: string, digests: string[]): Promise<LeasedBlob[]> {
  const rows = await em.execute<{ digest: string; size_bytes: string; is_fresh: boolean; is_condemned: boolean }[]>(
    `select held.digest, blob.size_bytes, held.condemn_time is not null is_condemned,
        held.condemn_time is null and held.lease_time > now() - make_interval(secs => ?) is_fresh
      from namespace_blob held join blob using (digest)
      where held.namespace = ? and held.digest in (select jsonb_array_elements_text(?::jsonb)) and blob.state = 'PRESENT'`,
    [FRESH_SECONDS, namespace, JSON.stringify(digests)],
  )
  return rows.map((row) => ({
    digest: row.digest,
    sizeBytes: Number(row.size_bytes),
    isFresh: row.is_fresh,
    isCondemned: row.is_condemned,
  }))
}

/** Begins the leases of those of the digests that the namespace has, and revives the condemned ones. Their rows stay
 * locked, so that nothing is collected before the transaction ends. Returns their sizes. */
export async function keepBlobs(
  em: EntityManager,
  emit: Emit,
  namespace: string,
  digests: string[],
): Promise<Map<string, number>> {
  const rows = await em.execute<{ digest: string; size_bytes: string; is_old: boolean; is_condemned: boolean }[]>(
    `select held.digest, blob.size_bytes, held.condemn_time is not null is_condemned,
        held.lease_time <= now() - make_interval(secs => ?) is_old
      from namespace_blob held join blob using (digest)
      where held.namespace = ? and held.digest in (select jsonb_array_elements_text(?::jsonb)) and blob.state = 'PRESENT'
      order by held.digest for no key update of held`,
    [FRESH_SECONDS, namespace, JSON.stringify(digests)],
  )
  const condemned = rows.filter((row) => row.is_condemned).map(({ digest }) => digest)
  if (condemned.length > 0) await revive(em, emit, namespace, condemned)
  const old = rows.filter((row) => row.is_old && !row.is_condemned).map(({ digest }) => digest)
  if (old.length > 0) {
    await em.execute(
      `update namespace_blob set lease_time = now()
        where namespace = ? and digest in (select jsonb_array_elements_text(?::jsonb))`,
      [namespace, JSON.stringify(old)],
    )
  }
  return new Map(rows.map(({ digest, size_bytes }) => [digest, Number(size_bytes)]))
}

async function revive(em: EntityManager, emit: Emit, namespace: string, digests: string[]): Promise<void> {
  await em.execute(
    `update namespace_blob set condemn_time = null, lease_time = now()
      where namespace = ? and digest in (select jsonb_array_elements_text(?::jsonb))`,
    [namespace, JSON.stringify(digests)],
  )
  for (const digest of digests) {
    emit(em, { type: 'blob.revived.v1', resource: blobResource(namespace, digest), afterDigest: digest })
  }
}
