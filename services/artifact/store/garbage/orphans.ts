// Orphans: objects in the store without a row. They come from writes that arrived after the deletion of their object, and
// from a database that was restored from a backup. Every object has a row from before its first byte until its deletion, so
// an old object without a row is an orphan. The lists of the store may be incomplete; only what they contain counts.
import { sql } from 'kysely'
import { forkFor, inTransaction, type Database, type EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import type { ByteStore, ListedObject, ListedUpload } from '../byte-store.ts'
import type { Garbage } from './collect.ts'
import { scheduleDeletions } from './pending-deletion.ts'
import type { Emit } from '../events.ts'
import { requireOwnStore } from '../installation.ts'
import { UNFINISHED_SQL } from '../uploads/upload.ts'

export interface OrphanOptions {
  /** Younger objects are left alone. */
  orphanSeconds: number
  /** Reports orphans without deleting them. */
  dryRun?: boolean
  stopping?: AbortSignal
}

const BATCH = 500
/** Maximum number of keys in one event. */
const MAX_NAMED = 100

/** Schedules the deletion of orphans and aborts orphaned multipart uploads. Yields each batch. */
export async function* sweepOrphans(
  database: Database,
  bytes: ByteStore,
  emit: Emit,
  options: OrphanOptions,
): AsyncGenerator<Garbage[]> {
  await requireOwnStore({ database, bytes })
  for await (const old of batches(bytes.list(), options)) {
    const orphans = await findOrphans(forkFor(database, options.stopping), old)
    if (orphans.length === 0) continue
    if (!options.dryRun) await deleteOrphans(database, emit, orphans)
    yield orphans.map(({ key, sizeBytes }) => ({ kind: 'OBJECT', namespace: '', name: key, sizeBytes }))
  }
  for await (const old of batches(bytes.listUnfinished(), options)) {
    const orphans = await findUnfinishedOrphans(forkFor(database, options.stopping), old)
    if (orphans.length === 0) continue
    if (!options.dryRun) await abortOrphans(database, bytes, emit, orphans)
    yield orphans.map(({ key }) => ({ kind: 'UNFINISHED', namespace: '', name: key, sizeBytes: 0 }))
  }
}

async function* batches<T extends { modifyTime: Date }>(
  listed: AsyncIterable<T>,
  { orphanSeconds, stopping }: OrphanOptions,
): AsyncGenerator<T[]> {
  const youngest = Date.now() - orphanSeconds * 1000
  let batch: T[] = []
  for await (const item of listed) {
    if (stopping?.aborted) return
    if (item.modifyTime.getTime() > youngest) continue
    batch.push(item)
    if (batch.length < BATCH) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** One statement reads all tables, because a transaction may move an object from one to another. */
async function findOrphans(em: EntityManager, listed: ListedObject[]): Promise<ListedObject[]> {
  const rows = await query<{ key: string }>(
    em,
    sql`select key from unnest(${listed.map(({ key }) => key)}::text[]) key
      where not exists (select from blob where object_key = key)
        and not exists (select from upload where object_key = key)
        and not exists (select from doomed_object where object_key = key)`,
  )
  const unknown = new Set(rows.map(({ key }) => key))
  return listed.filter(({ key }) => unknown.has(key))
}

/** Returns second multipart uploads of one key, too. Those of a pending deletion are aborted with its object. */
async function findUnfinishedOrphans(em: EntityManager, listed: ListedUpload[]): Promise<ListedUpload[]> {
  const rows = await query<{ key: string }>(
    em,
    sql`select key from unnest(${listed.map(({ key }) => key)}::text[]) key
      where not exists (select from upload where object_key = key and state in ${UNFINISHED_SQL})
        and not exists (select from doomed_object where object_key = key)`,
  )
  const unknown = new Set(rows.map(({ key }) => key))
  return listed.filter(({ key }) => unknown.has(key))
}

async function deleteOrphans(database: Database, emit: Emit, orphans: ListedObject[]): Promise<void> {
  await inTransaction(database, undefined, async (em) => {
    await scheduleDeletions(
      em,
      orphans.map(({ key }) => key),
    )
    const sizeBytes = orphans.reduce((sum, orphan) => sum + orphan.sizeBytes, 0)
    emitRemoved(em, emit, 'objects', orphans, { sizeBytes: String(sizeBytes) })
  })
}

/** Schedules no deletion, because the object of the same key may belong to a blob. */
async function abortOrphans(database: Database, bytes: ByteStore, emit: Emit, orphans: ListedUpload[]): Promise<void> {
  await inTransaction(database, undefined, async (em) => emitRemoved(em, emit, 'unfinished', orphans, {}))
  for (const { key, uploadId } of orphans) await bytes.abort(key, uploadId)
}

function emitRemoved(
  em: EntityManager,
  emit: Emit,
  what: string,
  orphans: { key: string }[],
  details: Record<string, string>,
): void {
  const keys = orphans.slice(0, MAX_NAMED).map(({ key }) => key)
  emit(em, {
    type: 'orphan.removed.v1',
    resource: { type: 'store', id: what, namespace: '', name: what },
    details: { ...details, count: orphans.length, keys },
  })
}
