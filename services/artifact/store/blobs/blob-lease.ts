// Leases on blobs. A caller that stored a blob, or received the answer that it is there, has time to name it in a manifest.
// Each such answer renews the lease; the collector decides how long it lasts. Each statement handles a set of blobs.
import { sql, type RawBuilder } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { blobResource, type Emit } from '../events.ts'

/** A younger lease is not renewed, which saves most writes. Far shorter than any lease. */
const FRESH_SECONDS = 600
/** A manifest can revive tens of thousands of blobs. */
const EVENTS_AT_ONCE = 256

export interface LeasedBlob {
  digest: string
  sizeBytes: number
  /** The blob is not condemned and its lease is young, so a caller can rely on it without `extendLeases`. */
  isFresh: boolean
  isCondemned: boolean
}

function leasedSql(namespace: string, digests: string[]): RawBuilder<LeasedBlob> {
  return sql`select held.digest, blob.size_bytes::float8 "sizeBytes", held.condemn_time is not null "isCondemned",
    held.condemn_time is null and held.lease_time > now() - make_interval(secs => ${FRESH_SECONDS}) "isFresh"
  from namespace_blob held join blob using (digest)
  where held.namespace = ${namespace} and held.digest in (${listOf(digests)}) and blob.state = 'PRESENT'`
}

function listOf(digests: string[]): RawBuilder<unknown> {
  return sql`select jsonb_array_elements_text(${JSON.stringify(digests)}::jsonb)`
}

/** Returns those of the digests that the namespace has. Quarantined blobs are left out. */
export function findLeases(em: EntityManager, namespace: string, digests: string[]): Promise<LeasedBlob[]> {
  return query(em, leasedSql(namespace, digests))
}

/** Renews the leases of those of the digests that the namespace has, and revives condemned blobs. Their rows stay locked, so
 * that none is collected before the transaction ends. Returns their sizes. */
export async function extendLeases(
  em: EntityManager,
  emit: Emit,
  namespace: string,
  digests: string[],
): Promise<Map<string, number>> {
  const leased = await query<LeasedBlob>(
    em,
    sql`${leasedSql(namespace, digests)} order by held.digest for no key update of held`,
  )
  const condemned = leased.filter(({ isCondemned }) => isCondemned).map(({ digest }) => digest)
  if (condemned.length > 0) await revive(em, emit, namespace, condemned)
  const old = leased.filter(({ isFresh, isCondemned }) => !isFresh && !isCondemned).map(({ digest }) => digest)
  if (old.length > 0) {
    await query(
      em,
      sql`update namespace_blob set lease_time = now() where namespace = ${namespace} and digest in (${listOf(old)})`,
    )
  }
  return new Map(leased.map(({ digest, sizeBytes }) => [digest, sizeBytes]))
}

/** A change of `condemn_time` requires an event, unlike the renewal of a lease. */
async function revive(em: EntityManager, emit: Emit, namespace: string, digests: string[]): Promise<void> {
  await query(
    em,
    sql`update namespace_blob set condemn_time = null, lease_time = now()
      where namespace = ${namespace} and digest in (${listOf(digests)})`,
  )
  for (let from = 0; from < digests.length; from += EVENTS_AT_ONCE) {
    // An entity manager computes all of its changes in one turn of the event loop, so each batch has its own.
    const batch = em.fork({ keepTransactionContext: true })
    for (const digest of digests.slice(from, from + EVENTS_AT_ONCE)) {
      emit(batch, { type: 'blob.revived.v1', resource: blobResource(namespace, digest), afterDigest: digest })
    }
    await batch.flush()
  }
}
