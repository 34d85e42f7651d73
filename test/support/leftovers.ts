import type { TestBucket } from './minio.ts'

interface Database {
  sql<T extends object>(statement: string): Promise<T[]>
}

/** Ends the time of everything unfinished, and names what is in the store or in line for removal and belongs to no blob,
 * and what a blob lacks. `keys`: of all objects that were ever begun. */
export async function findLeftovers(database: Database, bucket: TestBucket, keys: string[]): Promise<string[]> {
  await database.sql(`update artifact.upload set expire_time = now(), lease_until = null
    where state not in ('COMMITTED', 'ABORTED', 'EXPIRED', 'FAILED')`)
  // What a failed removal left is claimed for a while.
  await database.sql('update artifact.doomed_object set claimed_until = null')
  const unfinished = await database.sql<{ id: string }>(
    `select id from artifact.upload where state not in ('COMMITTED', 'ABORTED', 'EXPIRED', 'FAILED')`,
  )
  const doomed = await database.sql<{ object_key: string }>('select object_key from artifact.doomed_object')
  const blobs = await database.sql<{ object_key: string }>('select object_key from artifact.blob')
  const stored = new Set(await bucket.listObjects())
  const wanted = new Set(blobs.map(({ object_key }) => object_key))
  return [
    ...unfinished.map(({ id }) => `upload ${id}`),
    ...doomed.map(({ object_key }) => `in line for removal: ${object_key}`),
    ...[...stored].filter((key) => !wanted.has(key)).map((key) => `object of nobody: ${key}`),
    ...[...wanted].filter((key) => !stored.has(key)).map((key) => `missing object: ${key}`),
    ...(await bucket.listUnfinished(keys)).map((key) => `unfinished object: ${key}`),
  ]
}
