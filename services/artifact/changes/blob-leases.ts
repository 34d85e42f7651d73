// Renewal of the leases of blobs. A caller that received the answer that the namespace has a blob can rely on it until the
// lease expires, long enough to create a manifest that names it.
import type { HandlerContext } from '@connectrpc/connect'
import { forkFor, inTransaction, type Database, type EntityManager } from '#lib/store/database.ts'
import { extendLeases, findLeases } from '../store/blobs/blob-lease.ts'
import type { KnownBlob } from '../store/blobs/blob.ts'
import { findBlob } from '../store/blobs/find-blob.ts'
import { byCaller } from './by-caller.ts'

interface LeaseDeps {
  database: Database
  relay: { wake(): void }
}

/** Renews the leases of those digests that the namespace has, and returns their sizes. */
export async function renewLeases(
  { database, relay }: LeaseDeps,
  context: HandlerContext,
  namespace: string,
  digests: string[],
): Promise<Map<string, number>> {
  const present = await findLeases(forkFor(database, context.signal), namespace, digests)
  const sizes = new Map(present.filter(({ isFresh }) => isFresh).map(({ digest, sizeBytes }) => [digest, sizeBytes]))
  const old = present.filter(({ isFresh }) => !isFresh).map(({ digest }) => digest)
  if (old.length === 0) return sizes
  const renewed = await inTransaction(database, context.signal, (em) =>
    extendLeases(em, byCaller(context), namespace, old),
  )
  relay.wake()
  return new Map([...sizes, ...renewed])
}

/** Renews the lease of a blob and returns the blob; undefined if the namespace does not have it. */
export async function renewLease(
  deps: LeaseDeps,
  context: HandlerContext,
  namespace: string,
  digest: string,
): Promise<KnownBlob | undefined> {
  const sizes = await renewLeases(deps, context, namespace, [digest])
  return sizes.size > 0 ? findBlob(forkFor(deps.database, context.signal), namespace, digest) : undefined
}

/** Renews the lease of a blob within a transaction. False if the namespace does not have it. */
export async function renewLeaseIn(
  em: EntityManager,
  context: HandlerContext,
  namespace: string,
  digest: string,
): Promise<boolean> {
  return (await extendLeases(em, byCaller(context), namespace, [digest])).size > 0
}
