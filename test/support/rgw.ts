import { inject } from 'vitest'
import { S3Store } from '../../services/artifact/store/s3/s3-store.ts'
import type { TestStore } from './artifact.ts'
import type { S3Access } from './minio-server.ts'
import { createBucketOn, type TestBucket } from './minio.ts'

/** The Ceph gateway of the run, or the reason why there is none. */
export async function findRgw(): Promise<{ access: S3Access } | { missing: string }> {
  const answer = await fetch(inject('rgwUrl'))
  const text = await answer.text()
  if (answer.status === 404) return { missing: text }
  if (!answer.ok) throw new Error(text)
  return { access: JSON.parse(text) as S3Access }
}

export async function createRgwStore(access: S3Access): Promise<TestStore & TestBucket> {
  const bucket = await createBucketOn(access)
  return {
    ...bucket,
    open: () => new S3Store(bucket.options),
    overwrite: async (key, bytes) => void (await bucket.client.putObject(bucket.options.bucket, key, bytes)),
  }
}
