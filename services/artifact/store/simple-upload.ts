// Uploads of the simple lane end with their stream: the row is there only while the object may be left behind. They are
// many and small, so that each statement takes several at once.
import type { EntityManager } from '#lib/store/database.ts'
import type { BlobInit } from './blob.ts'
import { ALL_GOES } from './doomed-object.ts'

export interface SimpleUpload {
  id: string
  namespace: string
  principal: string
  digest: string
  sizeBytes: number
  partSizeBytes: number
  objectKey: string
}

const COLUMNS = `id uuid, namespace text, principal text, digest text, "sizeBytes" bigint, "partSizeBytes" bigint,
  "partSha256s" text, "objectKey" text`

/** Records those of the uploads whose namespace does not have the blob, and returns their ids. */
export async function addSimpleUploads(
  em: EntityManager,
  uploads: SimpleUpload[],
  expireSeconds: number,
): Promise<Set<string>> {
  const rows = await em.execute<{ id: string }[]>(
    `insert into upload (id, namespace, principal, digest, size_bytes, part_size_bytes, resumable, object_key, expire_time)
      select id, namespace, principal, digest, "sizeBytes", "partSizeBytes", false, "objectKey",
          now() + make_interval(secs => ?)
        from jsonb_to_recordset(?::jsonb) init(${COLUMNS})
        where not exists (
          select from namespace_blob held join blob using (digest)
            where held.namespace = init.namespace and held.digest = init.digest and blob.state = 'PRESENT'
        ) returning id`,
    [expireSeconds, JSON.stringify(uploads)],
  )
  return new Set(rows.map(({ id }) => id))
}

export interface FinishedUpload {
  /** When the namespace got the blob; undefined where the bytes were stored before, by whomever. */
  createTime: string | undefined
}

/** Forgets uploads, and makes their objects the blobs of their namespaces where the bytes are new. Of those that expired
 * meanwhile nothing is returned. */
export async function finishSimpleUploads(
  em: EntityManager,
  uploads: (BlobInit & { id: string })[],
): Promise<Map<string, FinishedUpload>> {
  const inits = uploads.map((upload) => ({ ...upload, partSha256s: upload.partSha256s.toString('hex') }))
  const rows = await em.execute<{ id: string; create_time: string | null }[]>(
    `with init as (select * from jsonb_to_recordset(?::jsonb) init(${COLUMNS})),
      gone as (
        delete from upload using init where upload.id = init.id and upload.state = 'OPEN' returning init.*
      ), stored as (
        insert into blob (digest, size_bytes, part_size_bytes, part_sha256s, object_key)
          select digest, "sizeBytes", "partSizeBytes", decode("partSha256s", 'hex'), "objectKey" from gone order by digest
          on conflict do nothing returning digest, object_key
      ), held as (
        insert into namespace_blob (namespace, digest)
          select gone.namespace, gone.digest from gone join stored on stored.object_key = gone."objectKey"
          returning namespace, digest, create_time
      )
      select gone.id, held.create_time from gone
        left join stored on stored.object_key = gone."objectKey"
        left join held on held.digest = stored.digest and held.namespace = gone.namespace`,
    [JSON.stringify(inits)],
  )
  return new Map(rows.map(({ id, create_time }) => [id, { createTime: create_time ?? undefined }]))
}

/** Forgets an upload that failed, and dooms what it has stored. */
export async function giveUpSimpleUpload(em: EntityManager, id: string): Promise<void> {
  await em.execute(
    `with gone as (delete from upload where id = ? and state = 'OPEN' returning object_key, store_upload_id)
      insert into doomed_object (object_key, store_upload_id) select object_key, store_upload_id from gone ${ALL_GOES}`,
    [id],
  )
}
