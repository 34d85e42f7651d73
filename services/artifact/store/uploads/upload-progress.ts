// How far an upload has come, for those who know it by its blob and not by its id.
import type { EntityManager } from '#lib/store/database.ts'

export interface UploadProgress {
  /** Up to here without a gap. */
  committedBytes: number
}

interface UploadKey {
  principal: string
  namespace: string
  digest: string
  sizeBytes: number
}

/** Undefined where the principal has no unfinished upload of the blob. */
export async function findProgress(em: EntityManager, key: UploadKey): Promise<UploadProgress | undefined> {
  const [row] = await em.execute<{ committed: string }[]>(
    `select least(upload.size_bytes, upload.part_size_bytes * (
        select count(*) from (
          select number, row_number() over (order by number) position from upload_part where upload_id = upload.id
        ) part where number = position
      )) committed
      from upload
      where principal = ? and namespace = ? and digest = ? and size_bytes = ?
        and state not in ('COMMITTED', 'ABORTED', 'EXPIRED', 'FAILED')
      order by resumable desc limit 1`,
    [key.principal, key.namespace, key.digest, key.sizeBytes],
  )
  return row && { committedBytes: Number(row.committed) }
}
