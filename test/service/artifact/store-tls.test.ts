// The S3 store over TLS fulfils the same contract, and reuses its connections.
import { afterAll, describe, expect, test } from 'vitest'
import { newObjectKey } from '../../../services/artifact/store/byte-store.ts'
import { S3Store } from '../../../services/artifact/store/s3/s3-store.ts'
import { makeBytes } from '../../support/bytes.ts'
import { createBucketOn } from '../../support/minio.ts'
import { startTlsMinio } from '../../support/minio-tls.ts'
import { wholePart, describeStore, readAll } from '../../support/store-contract.ts'

const minio = await startTlsMinio()
afterAll(() => minio.stop())

describeStore('S3 over TLS', async () => {
  const bucket = await createBucketOn(minio.access)
  return {
    ...bucket,
    open: () => new S3Store(bucket.options),
    overwrite: async (key, bytes) => void (await bucket.client.putObject(bucket.options.bucket, key, bytes)),
  }
})

describe('an S3 server over TLS', async () => {
  const bucket = await createBucketOn(minio.access)
  const store = new S3Store(bucket.options)
  const key = newObjectKey()
  const content = makeBytes(40_000_000, 'over TLS')
  await store.put(key, wholePart(content))
  afterAll(async () => {
    await store.close()
    await bucket.drop()
  })

  test('serves a reader that is slower than the network', async () => {
    const bytes: Uint8Array[] = []
    for await (const chunk of store.read(key, 0, content.length)) {
      bytes.push(Buffer.from(chunk))
      if (bytes.length % 16 === 0) await new Promise(setImmediate)
    }
    expect(Buffer.concat(bytes).equals(content)).toBe(true)
  })

  test('serves many readers at once', async () => {
    const ranges = Array.from({ length: 40 }, (_, index) => index * 1_000_000)
    const read = await Promise.all(ranges.map((offset) => readAll(store, key, offset, 1_000_000)))
    expect(Buffer.concat(read).equals(content)).toBe(true)
  })

  test('is rejected while its certificate is not trusted', () =>
    minio.distrust(async () => {
      const stranger = new S3Store(bucket.options)
      for (const call of [() => stranger.put(key, wholePart(content)), () => stranger.stat(key)]) {
        await expect(call()).rejects.toMatchObject({
          reason: 'DEPENDENCY_UNAVAILABLE',
          cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
        })
      }
      await stranger.close()
    }))
})
