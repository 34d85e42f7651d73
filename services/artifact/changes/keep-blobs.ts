// Saying of blobs that they are there, such that it stays true for the time of a push.
import type { HandlerContext } from '@connectrpc/connect'
import { forkFor, inTransaction, type Database, type EntityManager } from '#lib/store/database.ts'
import { findLeases, keepBlobs } from '../store/blobs/blob-lease.ts'
import { findBlob, type KnownBlob } from '../store/blobs/blob.ts'
import { byCaller } from './by-caller.ts'

interface BlobKeeper {
  database: Database
  relay: { wake(): void }
}

/** Those of the digests that the namespace has, with their sizes, each under a lease. */
export async function keepPresent(
  { database, relay }: BlobKeeper,
  context: HandlerContext,
  namespace: string,
  digests: string[],
): Promise<Map<string, number>> {
  const present = await findLeases(forkFor(database, context.signal), namespace, digests)
  const sizes = new Map(present.filter(({ isFresh }) => isFresh).map(({ digest, sizeBytes }) => [digest, sizeBytes]))
  const old = present.filter(({ isFresh }) => !isFresh).map(({ digest }) => digest)
  if (old.length === 0) return sizes
  const kept = await inTransaction(database, context.signal, (em) => keepBlobs(em, byCaller(context), namespace, old))
  relay.wake()
  return new Map([...sizes, ...kept])
}

/** The blob if the namespace has it, under a lease. */
export async function keepBlob(
  backend: BlobKeeper,
  context: HandlerContext,
  namespace: string,
  digest: string,
): Promise<KnownBlob | undefined> {
  const present = await keepPresent(backend, context, namespace, [digest])
  return present.size > 0 ? findBlob(forkFor(backend.database, context.signal), namespace, digest) : undefined
}

/** The same within a transaction. */
export async function keepBlobIn(
  em: EntityManager,
  context: HandlerContext,
  namespace: string,
  digest: string,
): Promise<boolean> {
  return (await keepBlobs(em, byCaller(context), namespace, [digest])).size > 0
}
