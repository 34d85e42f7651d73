// The progress of an upload that a caller names by its blob instead of its id.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { UNFINISHED_SQL, type Upload } from './upload.ts'

export interface UploadProgress {
  /** The number of bytes that are stored without a gap. */
  committedBytes: number
}

type UploadKey = Pick<Upload, 'principal' | 'namespace' | 'digest' | 'sizeBytes'>

/** Returns undefined if the principal has no unfinished upload of the blob. */
export async function findProgress(em: EntityManager, key: UploadKey): Promise<UploadProgress | undefined> {
  const [progress] = await query<UploadProgress>(
    em,
    sql`select least(upload.size_bytes, upload.part_size_bytes * (
        select count(*) from (
          select number, row_number() over (order by number) position from upload_part where upload_id = upload.id
        ) part where number = position
      ))::float8 "committedBytes"
      from upload
      where principal = ${key.principal} and namespace = ${key.namespace} and digest = ${key.digest}
        and size_bytes = ${key.sizeBytes} and state in ${UNFINISHED_SQL}
      order by resumable desc limit 1`,
  )
  return progress
}
