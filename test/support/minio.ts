import { Client } from 'minio'
import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'
import type { S3Options } from '../../services/artifact/store/s3/options.ts'
import { fetchShared } from './shared-resource.ts'
import type { S3Access } from './minio-server.ts'

export interface TestBucket {
  options: S3Options
  client: Client
  /** Keys of completed objects. */
  listObjects(): Promise<string[]>
  /** Returns those of `keys` whose upload is neither completed nor aborted. */
  listUnfinished(keys: string[]): Promise<string[]>
  drop(): Promise<void>
}

/** Creates a bucket on the MinIO server of the run. */
export async function createBucket(): Promise<TestBucket> {
  return createBucketOn(await fetchShared<S3Access>(inject('minioUrl')))
}

export async function createBucketOn(access: S3Access): Promise<TestBucket> {
  const options = { ...access, bucket: `test-${randomUUID()}` }
  const url = new URL(options.endpoint)
  const client = new Client({
    endPoint: url.hostname,
    port: Number(url.port || (url.protocol === 'https:' ? 443 : 80)),
    useSSL: url.protocol === 'https:',
    ...options,
  })
  await client.makeBucket(options.bucket, options.region)
  const listAll = (prefix = '') => readKeys(client.listObjectsV2(options.bucket, prefix, true))
  const listObjects = () => listAll('objects/')
  return {
    options,
    client,
    listObjects,
    // MinIO lists uploads only by the full key.
    listUnfinished: async (keys) => {
      const found = await Promise.all(keys.map((key) => client.findUploadId(options.bucket, key)))
      return keys.filter((_key, index) => found[index] !== undefined)
    },
    drop: async () => {
      await client.removeObjects(options.bucket, await listAll())
      await client.removeBucket(options.bucket)
    },
  }
}

/** The settings of an artifact service with a new bucket. */
export async function minioSettings(): Promise<Record<string, string>> {
  const { options } = await createBucket()
  return {
    STORE: 's3',
    S3_ENDPOINT: options.endpoint,
    S3_REGION: options.region,
    S3_BUCKET: options.bucket,
    S3_ACCESS_KEY: options.accessKey,
    S3_SECRET_KEY: options.secretKey,
  }
}

async function readKeys(stream: AsyncIterable<unknown>): Promise<string[]> {
  const keys: string[] = []
  for await (const item of stream) keys.push((item as { name: string }).name)
  return keys
}
