// Uploads of the simple lane end with their stream: the row is there only while the object may be left behind. They are
// many and small, so that one statement, which is a transaction by itself, begins some and ends others.
import type { EntityManager } from '#lib/store/database.ts'
import type { OutboxRow } from '#lib/store/outbox.ts'
import type { BlobInit } from '../blobs/blob.ts'
import { ALL_GOES } from '../garbage/doomed-object.ts'

export interface SimpleUpload {
  id: string
  namespace: string
  principal: string
  digest: string
  sizeBytes: number
  partSizeBytes: number
  objectKey: string
}

export interface SentUpload extends BlobInit {
  id: string
  /** Of the blob, where its bytes are new. */
  row: OutboxRow
}

export interface Turn {
  begun: SimpleUpload[]
  sent: SentUpload[]
  expireSeconds: number
}

export interface Turned {
  /** Ids of those whose namespace did not have the blob. */
  begun: Set<string>
  /** By id, unless the upload is over: when the namespace got the blob, and the upload was forgotten. Undefined, and nothing
   * done, where the bytes were stored before, by whomever. */
  sent: Map<string, string | undefined>
}

const COLUMNS = `id uuid, namespace text, principal text, digest text, "sizeBytes" bigint, "partSizeBytes" bigint,
  "objectKey" text`

// What the rows are joined with is so often new that the planner knows nothing of it: arrays and subqueries make it take
// the indexes.
const TURN = `with begun as (
    insert into upload (id, namespace, principal, digest, size_bytes, part_size_bytes, resumable, object_key, expire_time)
      select id, namespace, principal, digest, "sizeBytes", "partSizeBytes", false, "objectKey",
          now() + make_interval(secs => ?)
        from jsonb_to_recordset(?::jsonb) init(${COLUMNS})
        where (
          select blob.state from namespace_blob held join blob using (digest)
            where held.namespace = init.namespace and held.digest = init.digest
        ) is distinct from 'PRESENT' returning id
  ), open as (
    select id from upload where id = any(?::uuid[]) and state = 'OPEN' for update
  ), sent as (
    select init.* from jsonb_to_recordset(?::jsonb) init(${COLUMNS}, "partSha256s" text, row jsonb) join open using (id)
  ), stored as (
    insert into blob (digest, size_bytes, part_size_bytes, part_sha256s, object_key)
      select digest, "sizeBytes", "partSizeBytes", decode("partSha256s", 'hex'), "objectKey" from sent order by digest
      on conflict do nothing returning digest, object_key
  ), done as (
    select sent.* from sent join stored on stored.object_key = sent."objectKey"
  ), held as (
    insert into namespace_blob (namespace, digest) select namespace, digest from done
  ), told as (
    insert into outbox (event_id, resource_id, event)
      select (row ->> 'eventId')::uuid, row ->> 'resourceId', row -> 'event' from done
  ), gone as (
    delete from upload where id = any(array(select id from done))
  )
  select id, true begun, null time from begun
  union all select sent.id, false, case when done.id is not null then now() end from sent left join done using (id)`

/** Records those of the uploads whose namespace does not have the blob; and makes objects that were sent the blobs of their
 * namespaces. */
export async function turnSimpleUploads(em: EntityManager, { begun, sent, expireSeconds }: Turn): Promise<Turned> {
  const ids = `{${sent.map(({ id }) => id).join()}}`
  const inits = sent.map((upload) => ({ ...upload, partSha256s: upload.partSha256s.toString('hex') }))
  const rows = await em.execute<{ id: string; begun: boolean; time: string | null }[]>(TURN, [
    expireSeconds,
    JSON.stringify(begun),
    ids,
    JSON.stringify(inits),
  ])
  const turned: Turned = { begun: new Set(), sent: new Map() }
  for (const row of rows) {
    if (row.begun) turned.begun.add(row.id)
    else turned.sent.set(row.id, row.time ?? undefined)
  }
  return turned
}

/** Forgets an upload whose object is the blob's, or doomed. False where it was over. */
export async function forgetSimpleUpload(em: EntityManager, id: string): Promise<boolean> {
  const rows = await em.execute<unknown[]>(`delete from upload where id = ? and state = 'OPEN' returning 1`, [id])
  return rows.length > 0
}

/** Forgets an upload that failed, and dooms what it has stored. */
export async function giveUpSimpleUpload(em: EntityManager, id: string): Promise<void> {
  await em.execute(
    `with gone as (delete from upload where id = ? and state = 'OPEN' returning object_key, store_upload_id)
      insert into doomed_object (object_key, store_upload_id) select object_key, store_upload_id from gone ${ALL_GOES}`,
    [id],
  )
}
