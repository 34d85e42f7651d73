// Garbage collection. A manifest that no version retains is collected when its lease is over. A namespace's blob that no
// manifest names is condemned when its lease is over, and collected after a grace time unless a caller revives it. The
// bytes are deleted with the last namespace that had them.
//
// Each step locks a set of rows, and reads the references to them in a second statement: a transaction that adds a reference
// holds the same lock until the reference is visible. Rows that another transaction has locked wait for the next collection.
import { inTransaction, type Database, type EntityManager } from '#lib/store/database.ts'
import { DELETE_OBJECT_SQL } from './pending-deletion.ts'
import { blobResource, manifestResource, type Emit } from '../events.ts'

export interface CollectPeriods {
  /** Duration of a lease. */
  leaseSeconds: number
  /** Time between the condemnation of a blob and its collection. */
  graceSeconds: number
}

export interface Garbage {
  /** CONDEMNED: the blob will be collected after the grace time, unless it is revived. BLOB: it was collected. */
  kind: 'MANIFEST' | 'CONDEMNED' | 'BLOB' | 'OBJECT' | 'UNFINISHED'
  namespace: string
  /** The digest of a manifest or blob; the key in the store of an orphan. */
  name: string
  /** 0 if it is unknown. */
  sizeBytes: number
}

export interface CollectOptions extends CollectPeriods {
  /** Default: all namespaces. */
  namespace?: string
  stopping?: AbortSignal
}

const BATCH = 200
/** A manifest may name 100,000 blobs. */
const MANIFEST_BATCH = 10

/** Collects the present garbage in one transaction per batch, and yields each batch. */
export async function* collect(database: Database, emit: Emit, options: CollectOptions): AsyncGenerator<Garbage[]> {
  for (const step of [collectManifests, condemnBlobs, removeBlobs]) {
    for (;;) {
      if (options.stopping?.aborted) return
      const garbage = await inTransaction(database, options.stopping, (em) => step(em, emit, options))
      if (garbage.length === 0) break
      yield garbage
    }
  }
}

/** A row of any list of garbage. */
export interface GarbageRow {
  namespace: string
  digest: string
  sizeBytes: number
}

type Key = Pick<GarbageRow, 'namespace' | 'digest'>

const KEYS = 'select key ->> 0, key ->> 1 from jsonb_array_elements(?::jsonb) key'
const LEASE_IS_OVER = 'lease_time <= now() - make_interval(secs => ?)'
const IS_HELD = `exists (select from manifest_hold hold
  where hold.namespace = manifest.namespace and hold.digest = manifest.digest)`
const IS_NAMED = `exists (select from manifest_blob named
  where named.namespace = held.namespace and named.blob_digest = held.digest)`

function keysOf(rows: Key[]): string {
  return JSON.stringify(rows.map(({ namespace, digest }) => [namespace, digest]))
}

export function presentGarbage(kind: Garbage['kind'], rows: GarbageRow[]): Garbage[] {
  return rows.map(({ namespace, digest, sizeBytes }) => ({ kind, namespace, name: digest, sizeBytes }))
}

async function collectManifests(em: EntityManager, emit: Emit, options: CollectOptions): Promise<Garbage[]> {
  const { leaseSeconds, namespace = null } = options
  const due = await em.execute<Key[]>(
    `select namespace, digest from manifest where ${LEASE_IS_OVER} and not ${IS_HELD}
      and coalesce(namespace = ?, true) limit ? for update skip locked`,
    [leaseSeconds, namespace, MANIFEST_BATCH],
  )
  const gone = await em.execute<(GarbageRow & { totalSizeBytes: string; fileCount: number })[]>(
    `delete from manifest where (namespace, digest) in (${KEYS}) and not ${IS_HELD}
      returning namespace, digest, total_size_bytes::float8 "sizeBytes", total_size_bytes "totalSizeBytes",
        file_count "fileCount"`,
    [keysOf(due)],
  )
  await em.execute(`delete from manifest_blob where (namespace, manifest_digest) in (${KEYS})`, [keysOf(gone)])
  for (const { namespace: of, digest, totalSizeBytes, fileCount } of gone) {
    emit(em, {
      type: 'manifest.collected.v1',
      resource: manifestResource(of, digest),
      beforeDigest: digest,
      details: { totalSizeBytes, fileCount },
    })
  }
  return presentGarbage('MANIFEST', gone)
}

async function condemnBlobs(em: EntityManager, emit: Emit, options: CollectOptions): Promise<Garbage[]> {
  const { leaseSeconds, graceSeconds, namespace = null } = options
  const due = await em.execute<Key[]>(
    `select namespace, digest from namespace_blob held where condemn_time is null and ${LEASE_IS_OVER}
      and not ${IS_NAMED} and coalesce(namespace = ?, true) limit ? for update skip locked`,
    [leaseSeconds, namespace, BATCH],
  )
  const condemned = await em.execute<GarbageRow[]>(
    `update namespace_blob held set condemn_time = now() from blob
      where blob.digest = held.digest and (held.namespace, held.digest) in (${KEYS}) and not ${IS_NAMED}
      returning held.namespace, held.digest, blob.size_bytes::float8 "sizeBytes"`,
    [keysOf(due)],
  )
  for (const { namespace: of, digest, sizeBytes } of condemned) {
    emit(em, {
      type: 'blob.condemned.v1',
      resource: blobResource(of, digest),
      beforeDigest: digest,
      details: { sizeBytes: String(sizeBytes), graceSeconds },
    })
  }
  return presentGarbage('CONDEMNED', condemned)
}

async function removeBlobs(em: EntityManager, emit: Emit, options: CollectOptions): Promise<Garbage[]> {
  const due = await lockCondemned(em, options)
  const removed = await em.execute<GarbageRow[]>(
    `delete from namespace_blob held using blob
      where blob.digest = held.digest and (held.namespace, held.digest) in (${KEYS}) and not ${IS_NAMED}
      returning held.namespace, held.digest, blob.size_bytes::float8 "sizeBytes"`,
    [keysOf(due)],
  )
  const freed = await em.execute<{ digest: string; objectKey: string }[]>(
    `delete from blob where digest in (select jsonb_array_elements_text(?::jsonb))
      and not exists (select from namespace_blob held where held.digest = blob.digest)
      returning digest, object_key "objectKey"`,
    [JSON.stringify(removed.map(({ digest }) => digest))],
  )
  await em.execute(
    `insert into doomed_object (object_key) select jsonb_array_elements_text(?::jsonb) ${DELETE_OBJECT_SQL}`,
    [JSON.stringify(freed.map(({ objectKey }) => objectKey))],
  )
  const digests = new Set(freed.map(({ digest }) => digest))
  for (const { namespace, digest, sizeBytes } of removed) {
    emit(em, {
      type: 'blob.collected.v1',
      resource: blobResource(namespace, digest),
      beforeDigest: digest,
      details: { sizeBytes: String(sizeBytes), bytesRemoved: digests.has(digest) },
    })
  }
  return presentGarbage('BLOB', removed)
}

/** Locks the rows of the bytes before those of the namespaces, as `addBlob` does: the other order would cause deadlocks. */
async function lockCondemned(em: EntityManager, options: CollectOptions): Promise<Key[]> {
  const { graceSeconds, namespace = null } = options
  const isDue = 'held.condemn_time <= now() - make_interval(secs => ?)'
  const due = await em.execute<Key[]>(
    `select namespace, digest from namespace_blob held
      where ${isDue} and coalesce(namespace = ?, true) order by condemn_time limit ?`,
    [graceSeconds, namespace, BATCH],
  )
  const bytes = await em.execute<{ digest: string }[]>(
    `select digest from blob where digest in (select jsonb_array_elements_text(?::jsonb))
      order by digest for update skip locked`,
    [JSON.stringify(due.map(({ digest }) => digest))],
  )
  const mine = new Set(bytes.map(({ digest }) => digest))
  return em.execute<Key[]>(
    `select namespace, digest from namespace_blob held where (namespace, digest) in (${KEYS}) and ${isDue}
      order by digest, namespace for update skip locked`,
    [keysOf(due.filter(({ digest }) => mine.has(digest))), graceSeconds],
  )
}
