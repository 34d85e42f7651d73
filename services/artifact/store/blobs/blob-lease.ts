// Leases on blobs. A caller that stored a blob, or received the answer that it is there, has time to name it in a manifest.
// Each such answer renews the lease; the collector decides how long it lasts. Each statement handles a set of blobs.
import type { EntityManager } from '#lib/store/database.ts'
import { blobResource, type Emit } from '../events.ts'

/** A younger lease is not renewed, which saves most writes. Far shorter than any lease. */
const FRESH_SECONDS = 600

export interface LeasedBlob {
  digest: string
  sizeBytes: number
  /** The blob is not condemned and its lease is young, so a caller can rely on it without `extendLeases`. */
  isFresh: boolean
  isCondemned: boolean
}

const LEASED_SQL = `select held.digest, blob.size_bytes::float8 "sizeBytes", held.condemn_time is not null "isCondemned",
    held.condemn_time is null and held.lease_time > now() - make_interval(secs => ?) "isFresh"
  from namespace_blob held join blob using (digest)
  where held.namespace = ? and held.digest in (select jsonb_array_elements_text(?::jsonb)) and blob.state = 'PRESENT'`

/** Returns those of the digests that the namespace has. Quarantined blobs are left out. */
export function findLeases(em: EntityManager, namespace: string, digests: string[]): Promise<LeasedBlob[]> {
  return em.execute<LeasedBlob[]>(LEASED_SQL, [FRESH_SECONDS, namespace, JSON.stringify(digests)])
}

/** Renews the leases of those of the digests that the namespace has, and revives condemned blobs. Their rows stay locked, so
 * that none is collected before the transaction ends. Returns their sizes. */
export async function extendLeases(
  em: EntityManager,
  emit: Emit,
  namespace: string,
  digests: string[],
): Promise<Map<string, number>> {
  const leased = await em.execute<LeasedBlob[]>(`${LEASED_SQL} order by held.digest for no key update of held`, [
    FRESH_SECONDS,
    namespace,
    JSON.stringify(digests),
  ])
  const condemned = leased.filter(({ isCondemned }) => isCondemned).map(({ digest }) => digest)
  if (condemned.length > 0) await revive(em, emit, namespace, condemned)
  const old = leased.filter(({ isFresh, isCondemned }) => !isFresh && !isCondemned).map(({ digest }) => digest)
  if (old.length > 0) {
    await em.execute(
      `update namespace_blob set lease_time = now()
        where namespace = ? and digest in (select jsonb_array_elements_text(?::jsonb))`,
      [namespace, JSON.stringify(old)],
    )
  }
  return new Map(leased.map(({ digest, sizeBytes }) => [digest, sizeBytes]))
}

/** A change of `condemn_time` requires an event, unlike the renewal of a lease. */
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
