// The artifact service on a real S3 server with injected faults, and a client that retries.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@connectrpc/connect'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { expect } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { retryAfterMs } from '#lib/errors/read-error.ts'
import { S3Store } from '../../services/artifact/store/s3/s3-store.ts'
import { startArtifact, type TestArtifact, type TestStore } from './artifact.ts'
import { blobMessages, digestOf, download, writePart } from './bytes.ts'
import type { TestDatabase } from './database.ts'
import { startChaosS3, type ChaosS3 } from './chaos-s3.ts'
import { createBucket, type TestBucket } from './minio.ts'
import { findLeftovers } from './leftovers.ts'
import { refusalOf } from './refusal.ts'

/** A timeout long enough for a real answer, and short enough for a test. */
const SILENCE_MS = 700

export interface ChaosArtifact {
  artifact: TestArtifact
  chaos: ChaosS3
  bucket: TestBucket
  blobs: Client<typeof BlobService>
  uploads: Client<typeof UploadService>
  stop(): Promise<void>
}

export async function startChaosArtifact(
  own: { bucket?: TestBucket; database?: TestDatabase } = {},
): Promise<ChaosArtifact> {
  const bucket = own.bucket ?? (await createBucket())
  const chaos = await startChaosS3(bucket.options.endpoint)
  const open = () => new S3Store({ ...bucket.options, endpoint: chaos.address, silenceMs: SILENCE_MS })
  const store: TestStore = { ...bucket, open, overwrite: async () => {} }
  const artifact = await startArtifact(store, own.database ? { database: own.database } : {})
  return {
    artifact,
    chaos,
    bucket,
    blobs: artifact.client(BlobService),
    uploads: artifact.client(UploadService),
    async stop() {
      chaos.heal()
      await artifact.stop()
      await chaos.close()
    },
  }
}

/** One attempt at a resumable upload, which sends the missing parts only. The last part goes first, so that the service
 * cannot hash the blob as it arrives, and reads it back. */
export async function pushInParts({ uploads }: Pick<ChaosArtifact, 'uploads'>, bytes: Buffer): Promise<void> {
  const { result } = await uploads.startUpload({ digest: digestOf(bytes), sizeBytes: BigInt(bytes.length) })
  if (result.case !== 'upload') return
  const upload = result.value
  const there = new Set(upload.parts.map(({ number }) => number))
  for (let number = upload.partCount; number >= 1; number -= 1) {
    if (!there.has(number)) await writePart(uploads, upload, bytes, number)
  }
  await uploads.completeUpload({ uploadId: upload.id })
}

export async function pushInOneStream({ blobs }: Pick<ChaosArtifact, 'blobs'>, bytes: Buffer): Promise<void> {
  await blobs.uploadBlob(blobMessages(bytes))
}

/** Downloads the blob. Throws where its bytes are wrong, which must never happen. */
export async function pull({ blobs }: Pick<ChaosArtifact, 'blobs'>, bytes: Buffer): Promise<void> {
  const received = await download(blobs, { digest: digestOf(bytes) })
  if (!received.equals(bytes)) throw new Error('the service served wrong bytes as right ones')
}

/** Repeats `go` until it succeeds, at most `most` times. Returns the reasons of the failures. It waits before a retry only
 * where the upload is busy, for as long as the error says. */
export async function retryUntilSuccess(go: () => Promise<void>, most = 4): Promise<string[]> {
  const reasons: string[] = []
  for (;;) {
    try {
      await go()
      return reasons
    } catch (error) {
      const { reason } = await refusalOf(Promise.reject(error))
      reasons.push(reason || String(error))
      if (reasons.length === most) throw new Error(`failed ${most} times: ${reasons.join(', ')}`, { cause: error })
      if (reason === 'UPLOAD_BUSY') await sleep(retryAfterMs(error))
    }
  }
}

/** Waits until the store holds the objects of blobs and no others. */
export async function expectNothingLeft({ artifact, bucket, chaos }: ChaosArtifact): Promise<void> {
  chaos.heal()
  const keys = new Set(chaos.seen.map(({ key }) => key).filter((key) => key !== ''))
  const leftovers = () => findLeftovers(artifact, bucket, [...keys])
  await expect.poll(leftovers, { timeout: 20_000, interval: 300 }).toEqual([])
}
