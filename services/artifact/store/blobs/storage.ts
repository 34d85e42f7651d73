// Totals of the stored bytes, and of each namespace.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { UNFINISHED_SQL } from '../uploads/upload.ts'

/** PostgreSQL's text of each number: sums may exceed 2^53. */
export type Counts<K extends string> = Record<K, string>

export type Total =
  | 'blobs'
  | 'blob_bytes'
  | 'file_bytes'
  | 'unfinished_uploads'
  | 'unfinished_bytes'
  | 'quarantined_blobs'
  | 'quarantined_bytes'
  | 'doomed_objects'

export type NamespaceTotal = 'manifests' | 'file_bytes' | 'blobs' | 'blob_bytes' | 'condemned_blobs' | 'condemned_bytes'

const MAX_NAMESPACES = 1000

export async function countStorage(em: EntityManager): Promise<Counts<Total>> {
  const [row] = await query<Counts<Total>>(
    em,
    sql`select * from
      (select count(*) blobs, coalesce(sum(size_bytes), 0) blob_bytes,
          count(*) filter (where state = 'QUARANTINED') quarantined_blobs,
          coalesce(sum(size_bytes) filter (where state = 'QUARANTINED'), 0) quarantined_bytes
        from blob) blob,
      (select coalesce(sum(total_size_bytes), 0) file_bytes from manifest) manifest,
      (select count(distinct upload.id) unfinished_uploads, coalesce(sum(part.size_bytes), 0) unfinished_bytes
        from upload left join upload_part part on part.upload_id = upload.id
        where state in ${UNFINISHED_SQL}) upload,
      (select count(*) doomed_objects from doomed_object where not keeps_object) doomed`,
  )
  return row!
}

/** Ordered by size, the largest namespace first. At most a thousand. */
export async function countNamespaces(em: EntityManager): Promise<(Counts<NamespaceTotal> & { namespace: string })[]> {
  return query(
    em,
    sql<
      Counts<NamespaceTotal> & { namespace: string }
    >`select namespace, coalesce(manifests, 0) manifests, coalesce(file_bytes, 0) file_bytes, coalesce(blobs, 0) blobs,
        coalesce(blob_bytes, 0) blob_bytes, coalesce(condemned_blobs, 0) condemned_blobs,
        coalesce(condemned_bytes, 0) condemned_bytes
      from (select namespace, count(*) blobs, sum(size_bytes) blob_bytes,
            count(condemn_time) condemned_blobs,
            sum(size_bytes) filter (where condemn_time is not null) condemned_bytes
          from namespace_blob join blob using (digest) group by namespace) blob
        full join (select namespace, count(*) manifests, sum(total_size_bytes) file_bytes
          from manifest group by namespace) manifest using (namespace)
      order by 5 desc, namespace limit ${MAX_NAMESPACES}`,
  )
}
