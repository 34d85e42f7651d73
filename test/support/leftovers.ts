import type { TestBucket } from './minio.ts'

interface Database {
  sql<T extends object>(statement: string): Promise<T[]>
}

/** Expires everything unfinished. Returns the stored objects and pending deletions that belong to no blob, and the missing
 * objects of blobs. `keys` are the keys of all objects that were ever started. */
export async function findLeftovers(database: Database, bucket: TestBucket, keys: string[]): Promise<string[]> {
  await database.sql(`update artifact.upload set expire_time = now(), lease_until = null
    where state not in ('COMMITTED', 'ABORTED', 'EXPIRED', 'FAILED')`)
  // A failed deletion remains claimed for a while.
  await database.sql('update artifact.doomed_object set claimed_until = null')
  const unfinished = await database.sql<{ id: string }>(
    `select id from artifact.upload where state not in ('COMMITTED', 'ABORTED', 'EXPIRED', 'FAILED')`,
  )
  const pending = await database.sql<{ object_key: string }>('select object_key from artifact.doomed_object')
  const blobs = await database.sql<{ object_key: string }>('select object_key from artifact.blob')
  const stored = new Set(await bucket.listObjects())
  const wanted = new Set(blobs.map(({ object_key }) => object_key))
  return [
    ...unfinished.map(({ id }) => `upload ${id}`),
    ...pending.map(({ object_key }) => `in line for removal: ${object_key}`),
    ...[...stored].filter((key) => !wanted.has(key)).map((key) => `object of nobody: ${key}`),
    ...[...wanted].filter((key) => !stored.has(key)).map((key) => `missing object: ${key}`),
    ...(await bucket.listUnfinished(keys)).map((key) => `unfinished object: ${key}`),
  ]
}
