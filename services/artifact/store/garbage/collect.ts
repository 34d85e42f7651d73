// Garbage collection. A manifest that no version retains is collected when its lease is over. A namespace's blob that no
// manifest names is condemned when its lease is over, and collected after a grace time unless a caller revives it. The
// bytes are deleted with the last namespace that had them.
//
// Each step locks a set of rows, and reads the references to them in a second statement: a transaction that adds a reference
// holds the same lock until the reference is visible. Rows that another transaction has locked wait for the next collection.
import { sql, type RawBuilder } from 'kysely'
import { inTransaction, type Database, type EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { scheduleDeletions } from './pending-deletion.ts'
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

const isLeaseOver = ({ leaseSeconds }: CollectPeriods) =>
  sql`lease_time <= now() - make_interval(secs => ${leaseSeconds})`
const IS_HELD = sql`exists (select from manifest_hold hold
  where hold.namespace = manifest.namespace and hold.digest = manifest.digest)`
const IS_NAMED = sql`exists (select from manifest_blob named
  where named.namespace = held.namespace and named.blob_digest = held.digest)`

/** A list of keys, to be compared with `(namespace, digest)`. */
function keysOf(rows: Key[]): RawBuilder<unknown> {
  const namespaces = rows.map(({ namespace }) => namespace)
  const digests = rows.map(({ digest }) => digest)
  return sql`select * from unnest(${namespaces}::text[], ${digests}::text[])`
}

const isWithin = ({ namespace = null }: { namespace?: string | null }) => sql`coalesce(namespace = ${namespace}, true)`

export function presentGarbage(kind: Garbage['kind'], rows: GarbageRow[]): Garbage[] {
  return rows.map(({ namespace, digest, sizeBytes }) => ({ kind, namespace, name: digest, sizeBytes }))
}

async function collectManifests(em: EntityManager, emit: Emit, options: CollectOptions): Promise<Garbage[]> {
  const due = await query<Key>(
    em,
    sql`select namespace, digest from manifest where ${isLeaseOver(options)} and not ${IS_HELD}
      and ${isWithin(options)} limit ${MANIFEST_BATCH} for update skip locked`,
  )
  const gone = await query<GarbageRow & { totalSizeBytes: string; fileCount: number }>(
    em,
    sql`delete from manifest where (namespace, digest) in (${keysOf(due)}) and not ${IS_HELD}
      returning namespace, digest, total_size_bytes::float8 "sizeBytes", total_size_bytes "totalSizeBytes",
        file_count "fileCount"`,
  )
  await query(em, sql`delete from manifest_blob where (namespace, manifest_digest) in (${keysOf(gone)})`)
  for (const { namespace, digest, totalSizeBytes, fileCount } of gone) {
    emit(em, {
      type: 'manifest.collected.v1',
      resource: manifestResource(namespace, digest),
      beforeDigest: digest,
      details: { totalSizeBytes, fileCount },
    })
  }
  return presentGarbage('MANIFEST', gone)
}

async function condemnBlobs(em: EntityManager, emit: Emit, options: CollectOptions): Promise<Garbage[]> {
  const due = await query<Key>(
    em,
    sql`select namespace, digest from namespace_blob held where condemn_time is null and ${isLeaseOver(options)}
      and not ${IS_NAMED} and ${isWithin(options)} limit ${BATCH} for update skip locked`,
  )
  const condemned = await query<GarbageRow>(
    em,
    sql`update namespace_blob held set condemn_time = now() from blob
      where blob.digest = held.digest and (held.namespace, held.digest) in (${keysOf(due)}) and not ${IS_NAMED}
      returning held.namespace, held.digest, blob.size_bytes::float8 "sizeBytes"`,
  )
  for (const { namespace, digest, sizeBytes } of condemned) {
    emit(em, {
      type: 'blob.condemned.v1',
      resource: blobResource(namespace, digest),
      beforeDigest: digest,
      details: { sizeBytes: String(sizeBytes), graceSeconds: options.graceSeconds },
    })
  }
  return presentGarbage('CONDEMNED', condemned)
}

async function removeBlobs(em: EntityManager, emit: Emit, options: CollectOptions): Promise<Garbage[]> {
  const due = await lockCondemned(em, options)
  const removed = await query<GarbageRow>(
    em,
    sql`delete from namespace_blob held using blob
      where blob.digest = held.digest and (held.namespace, held.digest) in (${keysOf(due)}) and not ${IS_NAMED}
      returning held.namespace, held.digest, blob.size_bytes::float8 "sizeBytes"`,
  )
  const freed = await query<{ digest: string; objectKey: string }>(
    em,
    sql`delete from blob where digest = any(${removed.map(({ digest }) => digest)}::text[])
      and not exists (select from namespace_blob held where held.digest = blob.digest)
      returning digest, object_key "objectKey"`,
  )
  await scheduleDeletions(
    em,
    freed.map(({ objectKey }) => objectKey),
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
  const isDue = sql`held.condemn_time <= now() - make_interval(secs => ${options.graceSeconds})`
  const due = await query<Key>(
    em,
    sql`select namespace, digest from namespace_blob held
      where ${isDue} and ${isWithin(options)} order by condemn_time limit ${BATCH}`,
  )
  const bytes = await query<{ digest: string }>(
    em,
    sql`select digest from blob where digest = any(${due.map(({ digest }) => digest)}::text[])
      order by digest for update skip locked`,
  )
  const mine = new Set(bytes.map(({ digest }) => digest))
  const keys = keysOf(due.filter(({ digest }) => mine.has(digest)))
  return query<Key>(
    em,
    sql`select namespace, digest from namespace_blob held where (namespace, digest) in (${keys}) and ${isDue}
      order by digest, namespace for update skip locked`,
  )
}
