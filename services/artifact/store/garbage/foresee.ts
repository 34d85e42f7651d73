// What collecting would do now, without doing it.
import { forkFor, type Database } from '#lib/store/database.ts'
import type { CollectOptions, Garbage } from './collect.ts'

const PAGE = 1000

interface Row {
  namespace: string
  digest: string
  size_bytes: string
}

const COLLECTABLE = `manifest.lease_time <= now() - make_interval(secs => ?)
  and not exists (select from manifest_hold hold
    where hold.namespace = manifest.namespace and hold.digest = manifest.digest)`

/** In the order in which it goes. A blob that only such manifests name as are garbage themselves is condemned with them. */
export async function* foresee(database: Database, options: CollectOptions): AsyncGenerator<Garbage[]> {
  const { leaseSeconds, graceSeconds } = options
  yield* pages(
    database,
    options,
    'MANIFEST',
    [leaseSeconds],
    `
    select namespace, digest, total_size_bytes size_bytes from manifest where ${COLLECTABLE}`,
  )
  yield* pages(
    database,
    options,
    'CONDEMNED',
    [leaseSeconds, leaseSeconds],
    `
    select held.namespace, held.digest, blob.size_bytes from namespace_blob held join blob using (digest)
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
    select held.namespace, held.digest, blob.size_bytes from namespace_blob held join blob using (digest)
      where held.condemn_time <= now() - make_interval(secs => ?)`,
  )
}

async function* pages(
  database: Database,
  { namespace = null, stopping }: Omit<CollectOptions, 'namespace'> & { namespace?: string | null },
  kind: Garbage['kind'],
  terms: number[],
  garbage: string,
): AsyncGenerator<Garbage[]> {
  let after = ['', '']
  for (;;) {
    const rows = await forkFor(database, stopping).execute<Row[]>(
      `select * from (${garbage}) garbage where coalesce(namespace = ?, true) and (namespace, digest) > (?, ?)
        order by namespace, digest limit ?`,
      [...terms, namespace, ...after, PAGE],
    )
    if (rows.length === 0) return
    yield rows.map((row) => ({ kind, namespace: row.namespace, name: row.digest, sizeBytes: Number(row.size_bytes) }))
    const last = rows.at(-1)!
    after = [last.namespace, last.digest]
  }
}
