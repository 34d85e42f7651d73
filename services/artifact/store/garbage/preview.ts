// A preview of garbage collection, which changes nothing.
import { sql, type RawBuilder } from 'kysely'
import { forkFor, type Database } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { presentGarbage, type CollectOptions, type Garbage, type GarbageRow } from './collect.ts'

const PAGE = 1000

/** Yields the garbage in the order of collection. A blob that only garbage manifests name counts as garbage. */
export async function* previewGarbage(database: Database, options: CollectOptions): AsyncGenerator<Garbage[]> {
  const { leaseSeconds, graceSeconds } = options
  const isCollectable = sql`manifest.lease_time <= now() - make_interval(secs => ${leaseSeconds})
    and not exists (select from manifest_hold hold
      where hold.namespace = manifest.namespace and hold.digest = manifest.digest)`
  const blobs = sql`select held.namespace, held.digest, blob.size_bytes::float8 "sizeBytes"
    from namespace_blob held join blob using (digest)`
  yield* pages(
    database,
    options,
    'MANIFEST',
    sql`select namespace, digest, total_size_bytes::float8 "sizeBytes" from manifest where ${isCollectable}`,
  )
  yield* pages(
    database,
    options,
    'CONDEMNED',
    sql`${blobs}
      where held.condemn_time is null and held.lease_time <= now() - make_interval(secs => ${leaseSeconds})
        and not exists (select from manifest_blob named
          join manifest on manifest.namespace = named.namespace and manifest.digest = named.manifest_digest
          where named.namespace = held.namespace and named.blob_digest = held.digest and not (${isCollectable}))`,
  )
  const condemned = sql`${blobs} where held.condemn_time <= now() - make_interval(secs => ${graceSeconds})`
  yield* pages(database, options, 'BLOB', condemned)
}

async function* pages(
  database: Database,
  { namespace = null, stopping }: Omit<CollectOptions, 'namespace'> & { namespace?: string | null },
  kind: Garbage['kind'],
  garbage: RawBuilder<unknown>,
): AsyncGenerator<Garbage[]> {
  let after = { namespace: '', digest: '' }
  for (;;) {
    const rows = await query<GarbageRow>(
      forkFor(database, stopping),
      sql`select * from (${garbage}) garbage
        where coalesce(namespace = ${namespace}, true) and (namespace, digest) > (${after.namespace}, ${after.digest})
        order by namespace, digest limit ${PAGE}`,
    )
    if (rows.length === 0) return
    yield presentGarbage(kind, rows)
    after = rows.at(-1)!
  }
}
