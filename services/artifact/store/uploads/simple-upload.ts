// Uploads that end with their stream: the row exists only while a crash would leave the object behind. They are many and
// small, so one statement begins some and commits others. It is the hot write of `npm run bench:artifact`, scene "small".
import { LockMode, TransactionPropagation } from '@mikro-orm/postgresql'
import { sql, type RawBuilder } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import type { OutboxRow } from '#lib/store/outbox.ts'
import type { BlobInit } from '../blobs/blob.ts'
import { scheduleDeletion } from '../garbage/pending-deletion.ts'
import { Upload } from './upload.ts'

export type SimpleUpload = Pick<
  Upload,
  'id' | 'namespace' | 'principal' | 'digest' | 'sizeBytes' | 'partSizeBytes' | 'objectKey'
>

export interface SentUpload extends BlobInit {
  id: string
  /** The event to record if the bytes are new. */
  row: OutboxRow
}

export interface SimpleUploads {
  begun: SimpleUpload[]
  sent: SentUpload[]
  expireSeconds: number
}

export interface AppliedUploads {
  /** The ids of the uploads that were recorded: their namespaces did not have the blobs. */
  begun: Set<string>
  /** The time at which the namespace got the blob, by the id of each upload that was still open. Undefined, without a
   * change, if the same bytes were stored before. */
  sent: Map<string, string | undefined>
}

interface AppliedRow {
  id: string
  begun: boolean
  time: string | null
}

const COLUMNS = sql`id uuid, namespace text, principal text, digest text, "sizeBytes" bigint, "partSizeBytes" bigint,
  "objectKey" text`

/** Records those of the begun uploads whose namespaces do not have the blobs, and makes the sent objects blobs of their
 * namespaces. */
export async function applySimpleUploads(em: EntityManager, uploads: SimpleUploads): Promise<AppliedUploads> {
  const rows = await query(em, applySql(uploads))
  const applied: AppliedUploads = { begun: new Set(), sent: new Map() }
  for (const row of rows) {
    if (row.begun) applied.begun.add(row.id)
    else applied.sent.set(row.id, row.time ?? undefined)
  }
  return applied
}

/** The tables change so fast that the planner has no statistics of them: arrays and subqueries make it use the
 * indexes. */
function applySql({ begun, sent, expireSeconds }: SimpleUploads): RawBuilder<AppliedRow> {
  const ids = sent.map(({ id }) => id)
  const inits = sent.map((upload) => ({ ...upload, partSha256s: upload.partSha256s.toString('hex') }))
  return sql`with begun as (
    insert into upload (id, namespace, principal, digest, size_bytes, part_size_bytes, resumable, object_key, expire_time)
      select id, namespace, principal, digest, "sizeBytes", "partSizeBytes", false, "objectKey",
          now() + make_interval(secs => ${expireSeconds})
        from jsonb_to_recordset(${JSON.stringify(begun)}::jsonb) init(${COLUMNS})
        where (
          select blob.state from namespace_blob held join blob using (digest)
            where held.namespace = init.namespace and held.digest = init.digest
        ) is distinct from 'PRESENT' returning id
  ), open as (
    select id from upload where id = any(${ids}::uuid[]) and state = 'OPEN' for update
  ), sent as (
    select init.* from jsonb_to_recordset(${JSON.stringify(inits)}::jsonb)
        init(${COLUMNS}, "partSha256s" text, row jsonb) join open using (id)
  ), stored as (
    insert into blob (digest, size_bytes, part_size_bytes, part_sha256s, object_key)
      select digest, "sizeBytes", "partSizeBytes", decode("partSha256s", 'hex'), "objectKey" from sent order by digest
      on conflict do nothing returning digest, object_key
  ), done as (
    select sent.* from sent join stored on stored.object_key = sent."objectKey"
  ), held as (
    insert into namespace_blob (namespace, digest) select namespace, digest from done
  ), emitted as (
    insert into outbox (event_id, resource_id, event)
      select (row ->> 'eventId')::uuid, row ->> 'resourceId', row -> 'event' from done
  ), gone as (
    delete from upload where id = any(array(select id from done))
  )
  select id, true begun, null time from begun
  union all select sent.id, false, case when done.id is not null then now() end from sent left join done using (id)`
}

/** Deletes the row of an upload whose object is a blob's, or is to be deleted. Returns false if it was closed before. */
export async function deleteSimpleUpload(em: EntityManager, id: string): Promise<boolean> {
  return (await em.nativeDelete(Upload, { id, state: 'OPEN' })) > 0
}

/** Deletes the row of an upload that failed, and schedules the deletion of its object. */
export async function abandonSimpleUpload(em: EntityManager, id: string): Promise<void> {
  await em.transactional(
    async (tx) => {
      const upload = await tx.findOne(Upload, { id, state: 'OPEN' }, { lockMode: LockMode.PESSIMISTIC_WRITE })
      if (!upload) return
      tx.remove(upload)
      await scheduleDeletion(tx, upload.objectKey, upload.storeUploadId)
    },
    { propagation: TransactionPropagation.REQUIRED },
  )
}
