// A preview of garbage collection, which changes nothing.
import { forkFor, type Database } from '#lib/store/database.ts'
import { presentGarbage, type CollectOptions, type Garbage, type GarbageRow } from './collect.ts'

const PAGE = 1000

const COLLECTABLE = `manifest.lease_time <= now() - make_interval(secs => ?)
  and not exists (select from manifest_hold hold
    where hold.namespace = manifest.namespace and hold.digest = manifest.digest)`

/** Yields the garbage in the order of collection. A blob that only garbage manifests name counts as garbage. */
export async function* previewGarbage(database: Database, options: CollectOptions): AsyncGenerator<Garbage[]> {
  const { leaseSeconds, graceSeconds } = options
  yield* pages(
    database,
    options,
    'MANIFEST',
    [leaseSeconds],
    `
    select namespace, digest, total_size_bytes::float8 "sizeBytes" from manifest where ${COLLECTABLE}`,
  )
  yield* pages(
    database,
    options,
    'CONDEMNED',
    [leaseSeconds, leaseSeconds],
    `
    select held.namespace, held.digest, blob.size_bytes::float8 "sizeBytes" from namespace_blob held join blob using (digest)
      where held.condemn_time is null and held.lease_time <= now() - make_interval(secs => ?)
        and not exists (select from manifest_blob named
          join manifest on manifest.namespace = named.namespace and manifest.digest = named.manifest_digest
          where named.namespace = held.namespace and named.blob_digest = held.digest and not (${COLLECTABLE}))`,
  )
  yield* pages(
    database,
    options,
    'BLOB',
    [graceSeconds],
    `
    select held.namespace, held.digest, blob.size_bytes::float8 "sizeBytes" from namespace_blob held join blob using (digest)
      where held.condemn_time <= now() - make_interval(secs => ?)`,
  )
}

async function* pages(
  database: Database,
  { namespace = null, stopping }: Omit<CollectOptions, 'namespace'> & { namespace?: string | null },
  kind: Garbage['kind'],
  periods: number[],
  garbage: string,
): AsyncGenerator<Garbage[]> {
  let after = ['', '']
  for (;;) {
    const rows = await forkFor(database, stopping).execute<GarbageRow[]>(
      `select * from (${garbage}) garbage where coalesce(namespace = ?, true) and (namespace, digest) > (?, ?)
        order by namespace, digest limit ?`,
      [...periods, namespace, ...after, PAGE],
    )
    if (rows.length === 0) return
    yield presentGarbage(kind, rows)
    const last = rows.at(-1)!
    after = [last.namespace, last.digest]
  }
}
