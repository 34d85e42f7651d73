// Byte stores for services in separate processes, as settings.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBucket } from './minio.ts'

export interface Place {
  settings: Record<string, string>
  /** Counts the objects in the store, completed or not. */
  countEntries(keys: string[]): Promise<number>
  drop(): Promise<void>
}

export const PLACES: [string, () => Promise<Place>][] = [
  ['S3', s3Place],
  ['a directory', directoryPlace],
]

async function s3Place(): Promise<Place> {
  const bucket = await createBucket()
  const { endpoint, bucket: name, region, accessKey, secretKey } = bucket.options
  const access = { S3_REGION: region, S3_ACCESS_KEY: accessKey, S3_SECRET_KEY: secretKey }
  return {
    settings: { STORE: 's3', S3_ENDPOINT: endpoint, S3_BUCKET: name, ...access },
    countEntries: async (keys) => (await bucket.listObjects()).length + (await bucket.listUnfinished(keys)).length,
    drop: () => bucket.drop(),
  }
}

async function directoryPlace(): Promise<Place> {
  const root = await mkdtemp(join(tmpdir(), 'modelkeep-crash-'))
  const entries = () => readdir(root, { recursive: true, withFileTypes: true })
  return {
    settings: { STORE: 'directory', STORE_DIRECTORY: root },
    countEntries: async () =>
      (await entries()).filter((entry) => entry.isFile() && !entry.parentPath.endsWith('owners')).length,
    drop: () => rm(root, { recursive: true }),
  }
}
