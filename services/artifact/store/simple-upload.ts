// Uploads of the simple lane end with their stream: the row is there only while the object may be left behind.
import type { EntityManager } from '#lib/store/database.ts'
import { Upload } from './upload.ts'

/** Forgets an upload whose object is the blob's now. False where it has expired meanwhile. */
export async function finishSimpleUpload(em: EntityManager, id: string): Promise<boolean> {
  return (await em.nativeDelete(Upload, { id, state: 'OPEN' })) > 0
}

/** Forgets an upload that failed, and dooms what it has stored. */
export async function giveUpSimpleUpload(em: EntityManager, id: string): Promise<void> {
  await em.execute(
    `with gone as (delete from upload where id = ? and state = 'OPEN' returning object_key, store_upload_id)
      insert into doomed_object (object_key, store_upload_id) select object_key, store_upload_id from gone`,
    [id],
  )
}
