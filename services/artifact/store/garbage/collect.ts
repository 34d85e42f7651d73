// Collecting garbage. A manifest that no version holds goes when its lease is over. A namespace's blob that no manifest
// names is condemned when its lease is over, and goes after a time of grace, in which whoever needs it revives it; the
// bytes go with the last namespace that had them.
//
// Each step locks rows first and looks at what refers to them in a second statement: whoever adds a reference holds the
// same lock until it can be seen. What another transaction has locked is left for the next time.
import { inTransaction, type Database, type EntityManager } from '#lib/store/database.ts'
import { ALL_GOES } from './doomed-object.ts'
import { blobResource, manifestResource, type Emit } from '../events.ts'

export interface Terms {
  /** How long a lease lasts. */
  leaseSeconds: number
  /** How long a condemned blob stays. */
  graceSeconds: number
}

export interface Garbage {
  /** CONDEMNED: it goes after the time of grace, unless it is needed before. BLOB: it went. */
  kind: 'MANIFEST' | 'CONDEMNED' | 'BLOB' | 'OBJECT' | 'UNFINISHED'
  namespace: string
  /** Of a manifest or blob; of what nobody knows, its key in the store. */
  name: string
  /** 0 where it is unknown. */
  sizeBytes: number
}

export interface CollectOptions extends Terms {
  /** All of them without. */
  namespace?: string
  stopping?: AbortSignal
}

const BATCH = 200
/** A manifest may name 100,000 blobs. */
const MANIFEST_BATCH = 10

/** Collects what is garbage now, one transaction for each batch that comes back. */
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

interface Row {
  namespace: string
  digest: string
  size_bytes: string
}

const KEYS = 'select key ->> 0, key ->> 1 from jsonb_array_elements(?::jsonb) key'
const LEASE_IS_OVER = 'lease_time <= now() - make_interval(secs => ?)'
const IS_HELD = `exists (select from manifest_hold hold
  where hold.namespace = manifest.namespace and hold.digest = manifest.digest)`
const IS_NAMED = `exists (select from manifest_blob named
  where named.namespace = held.namespace and named.blob_digest = held.digest)`

function keysOf(rows: { namespace: string; digest: string }[]): string {
  return JSON.stringify(rows.map(({ namespace, digest }) => [namespace, digest]))
}

function present(kind: Garbage['kind'], rows: Row[]): Garbage[] {
  return rows.map(({ namespace, digest, size_bytes }) => ({
    kind,
    namespace,
    name: digest,
    sizeBytes: Number(size_bytes),
  }))
}

async function collectManifests(em: EntityManager, emit: Emit, options: CollectOptions): Promise<Garbage[]> {
  const { leaseSeconds, namespace = null } = options
  const due = await em.execute<Row[]>(
    `select namespace, digest from manifest where ${LEASE_IS_OVER} and not ${IS_HELD}
      and coalesce(namespace = ?, true) limit ? for update skip locked`,
    [leaseSeconds, namespace, MANIFEST_BATCH],
  )
  const gone = await em.execute<(Row & { file_count: number })[]>(
    `delete from manifest where (namespace, digest) in (${KEYS}) and not ${IS_HELD}
      returning namespace, digest, total_size_bytes size_bytes, file_count`,
    [keysOf(due)],
  )
  await em.execute(`delete from manifest_blob where (namespace, manifest_digest) in (${KEYS})`, [keysOf(gone)])
  for (const { namespace: of, digest, size_bytes, file_count } of gone) {
    emit(em, {
      type: 'manifest.collected.v1',
      resource: manifestResource(of, digest),
      beforeDigest: digest,
      details: { totalSizeBytes: size_bytes, fileCount: file_count },
    })
  }
  return present('MANIFEST', gone)
}

async function condemnBlobs(em: EntityManager, emit: Emit, options: CollectOptions): Promise<Garbage[]> {
  const { leaseSeconds, graceSeconds, namespace = null } = options
  const due = await em.execute<Row[]>(
    `select namespace, digest from namespace_blob held where condemn_time is null and ${LEASE_IS_OVER}
      and not ${IS_NAMED} and coalesce(namespace = ?, true) limit ? for update skip locked`,
    [leaseSeconds, namespace, BATCH],
  )
  const condemned = await em.execute<Row[]>(
    `update namespace_blob held set condemn_time = now() from blob
      where blob.digest = held.digest and (held.namespace, held.digest) in (${KEYS}) and not ${IS_NAMED}
      returning held.namespace, held.digest, blob.size_bytes`,
    [keysOf(due)],
  )
  for (const { namespace: of, digest, size_bytes } of condemned) {
    emit(em, {
      type: 'blob.condemned.v1',
      resource: blobResource(of, digest),
      beforeDigest: digest,
      details: { sizeBytes: size_bytes, graceSeconds },
    })
  }
  return present('CONDEMNED', condemned)
}

async function removeBlobs(em: EntityManager, emit: Emit, options: CollectOptions): Promise<Garbage[]> {
  const due = await lockCondemned(em, options)
  const removed = await em.execute<Row[]>(
    `delete from namespace_blob held using blob
      where blob.digest = held.digest and (held.namespace, held.digest) in (${KEYS}) and not ${IS_NAMED}
      returning held.namespace, held.digest, blob.size_bytes`,
    [keysOf(due)],
  )
  const freed = await em.execute<{ digest: string; object_key: string }[]>(
    `delete from blob where digest in (select jsonb_array_elements_text(?::jsonb))
      and not exists (select from namespace_blob held where held.digest = blob.digest) returning digest, object_key`,
    [JSON.stringify(removed.map(({ digest }) => digest))],
  )
  await em.execute(`insert into doomed_object (object_key) select jsonb_array_elements_text(?::jsonb) ${ALL_GOES}`, [
    JSON.stringify(freed.map(({ object_key }) => object_key)),
  ])
  const digests = new Set(freed.map(({ digest }) => digest))
  for (const { namespace, digest, size_bytes } of removed) {
    emit(em, {
      type: 'blob.collected.v1',
      resource: blobResource(namespace, digest),
      beforeDigest: digest,
      details: { sizeBytes: size_bytes, bytesRemoved: digests.has(digest) },
    })
  }
  return present('BLOB', removed)
}

/** The bytes first, as where a blob is added: the other order would let the two wait for one another. */
async function lockCondemned(em: EntityManager, options: CollectOptions): Promise<Row[]> {
  const { graceSeconds, namespace = null } = options
  const isDue = 'held.condemn_time <= now() - make_interval(secs => ?)'
  const due = await em.execute<Row[]>(
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
  return em.execute<Row[]>(
    `select namespace, digest from namespace_blob held where (namespace, digest) in (${KEYS}) and ${isDue}
      order by digest, namespace for update skip locked`,
    [keysOf(due.filter(({ digest }) => mine.has(digest))), graceSeconds],
  )
}
