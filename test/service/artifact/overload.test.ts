// More transfers than the service has budget for: they are rejected with a time to retry, and no budget leaks.
import { Code, ConnectError } from '@connectrpc/connect'
import { afterAll, describe, expect, test } from 'vitest'
import { RetryInfoSchema } from '#gen/google/rpc/error_details_pb.ts'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { retry } from '../../../clients/cli/connection/retry.ts'
import { ByteBudget } from '../../../services/artifact/domain/byte-budget.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import {
  beginWrite,
  blobName,
  byteStream,
  codeOf,
  queryStatus,
  uploadName,
  writeBlob,
} from '../../support/byte-stream.ts'
import {
  blobMessages,
  digestOf,
  download,
  makeBytes,
  partMessages,
  startUpload,
  writePart,
} from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'

const PATIENCE_MS = 100

describe.each(STORES)('overload on %s', async (kind, createStore) => {
  const store = await createStore()
  const budget = new ByteBudget(40 * MIB, PATIENCE_MS)
  const limits = { uploadMinBytesPerSecond: 64 * 1024, streamIdleSeconds: 1 }
  const artifact = await startArtifact(store, { budget, limits })
  const patient = await artifact.addReplica({ budget })
  const narrow = await artifact.addReplica({ limits: { maxStreams: 2 } })
  afterAll(async () => {
    await patient.stop()
    await narrow.stop()
    await artifact.stop()
  })
  const make = (length: number, seed: string) => makeBytes(length, `${kind} ${seed}`)
  const blobs = patient.client(BlobService)
  const never = new AbortController().signal

  /** The messages of a blob; those from chunk `at` on wait for `gate`. */
  const paused = (bytes: Buffer, gate: Promise<void>, at = 1) =>
    blobMessages(bytes, { onChunk: (index) => (index < at ? undefined : gate) })

  test('returns a retry delay to an upload without budget, and leaves nothing', async () => {
    const gate = Promise.withResolvers<void>()
    const first = make(30 * MIB, 'first')
    const running = blobs.uploadBlob(paused(first, gate.promise))
    await expect.poll(() => budget.used).toBe(30 * MIB)
    let sent = 0
    const bytes = make(30 * MIB, 'refused')
    const count = { onChunk: () => void (sent += 1) }
    const refused = await blobs
      .uploadBlob(blobMessages(bytes, count))
      .catch((error: unknown) => ConnectError.from(error))
    expect(refused).toMatchObject({ code: Code.ResourceExhausted })
    expect((refused as ConnectError).findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 1n } }])
    // At most the bytes that fit into the HTTP/2 windows.
    expect(sent).toBeLessThan(30)
    expect(budget.used).toBe(30 * MIB)
    expect(await refusalOf(blobs.uploadBlob(blobMessages(make(MIB, 'third'))))).toMatchObject({ reason: 'OVERLOADED' })
    // The last quarter is reserved for other principals.
    await patient.client(BlobService, 'bob').uploadBlob(blobMessages(make(9 * MIB, 'of bob')))
    gate.resolve()
    await running
    await blobs.uploadBlob(blobMessages(bytes))
    expect(budget.used).toBe(0)
  })

  test('counts downloads against the budget', async () => {
    const bytes = make(2 * MIB, 'down')
    await blobs.uploadBlob(blobMessages(bytes))
    const release = await budget.acquire('alice', 30 * MIB)
    expect(await refusalOf(download(blobs, { digest: digestOf(bytes) }))).toMatchObject({ reason: 'OVERLOADED' })
    release()
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
    expect(budget.used).toBe(0)
  })

  test('sixty-four parallel uploads succeed with a client that retries', { timeout: 120_000 }, async () => {
    const all = Array.from({ length: 64 }, (_, index) => make(4 * MIB, `crowd ${index}`))
    let most = 0
    const look = { onChunk: () => void (most = Math.max(most, budget.used)) }
    const upload = (bytes: Buffer) => {
      // Each upload uses a connection of its own, like separate clients.
      const own = patient.client(BlobService)
      return retry({ signal: never }, () => own.uploadBlob(blobMessages(bytes, look)))
    }
    await Promise.all(all.map(upload))
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(30 * MIB)
    expect(budget.used).toBe(0)
    const { missingDigests } = await blobs.findMissingBlobs({ digests: all.map(digestOf) })
    expect(missingDigests).toEqual([])
  })

  test('an upload below the minimum rate is ended, however often it sends', { timeout: 30_000 }, async () => {
    const bytes = make(20 * MIB, 'slow')
    const slowly = { chunkBytes: 100, onChunk: () => new Promise<void>((resolve) => setTimeout(resolve, 20)) }
    const slow = { code: 'DeadlineExceeded', reason: 'STREAM_IDLE', metadata: { bytes_per_second: '65536' } }
    const hasty = artifact.client(BlobService)
    expect(await refusalOf(hasty.uploadBlob(blobMessages(bytes, slowly)))).toMatchObject(slow)
    const uploads = artifact.client(UploadService)
    const upload = await startUpload(uploads, bytes)
    async function* part() {
      for await (const message of partMessages(upload.id, 1, bytes.subarray(0, 16 * MIB))) {
        if (message.message.case === 'header') yield message
        else break
      }
      for (let at = 0; ; at += 1) {
        await slowly.onChunk()
        yield { message: { case: 'chunk' as const, value: bytes.subarray(at, at + 1) } }
      }
    }
    expect(await refusalOf(uploads.writePart(part()))).toMatchObject(slow)
    const client = byteStream(artifact.address)
    const call = beginWrite(client)
    await call.send({ resource_name: uploadName(bytes) })
    const nothing = setInterval(() => void call.send({}), 20)
    expect(await codeOf(call.answer)).toBe('DEADLINE_EXCEEDED')
    clearInterval(nothing)
    client.close()
    await expect.poll(() => budget.used).toBe(0)
  })

  test(
    'a download whose reader accepts nothing is ended, and its budget is released',
    { timeout: 30_000 },
    async () => {
      const bytes = make(40 * MIB, 'unread')
      await blobs.uploadBlob(blobMessages(bytes))
      const answers = artifact.client(BlobService).downloadBlob({ digest: digestOf(bytes) })
      const stream = answers[Symbol.asyncIterator]()
      await stream.next()
      await expect.poll(() => budget.used).toBe(MIB)
      await expect.poll(() => budget.used, { timeout: 20_000 }).toBe(0)
      const rest = async () => {
        for (let next = await stream.next(); !next.done;) next = await stream.next()
      }
      expect(await refusalOf(rest())).toMatchObject({ reason: 'STREAM_IDLE' })
    },
  )

  test('streams beyond the limit are rejected', async () => {
    const gate = Promise.withResolvers<void>()
    const client = narrow.client(BlobService)
    const running = ['a', 'b'].map((seed) => client.uploadBlob(paused(make(3 * MIB, seed), gate.promise)))
    const known = make(10, 'known')
    await blobs.uploadBlob(blobMessages(known))
    await expect
      .poll(async () => refusalOf(download(client, { digest: digestOf(known) })).catch(() => undefined))
      .toMatchObject({ code: 'ResourceExhausted', reason: 'OVERLOADED' })
    const foreign = byteStream(narrow.address)
    expect(await codeOf(writeBlob(foreign, uploadName(known), known))).toBe('RESOURCE_EXHAUSTED')
    // Calls that carry no bytes are not limited.
    expect((await queryStatus(foreign, uploadName(known))).complete).toBe(true)
    gate.resolve()
    await Promise.all(running)
    expect(await writeBlob(foreign, uploadName(known), known)).toBe(10)
    foreign.close()
  })

  test('limits a principal to three quarters of the streams', async () => {
    const four = await artifact.addReplica({ limits: { maxStreams: 4 } })
    const gate = Promise.withResolvers<void>()
    const client = four.client(BlobService)
    const running = ['1', '2', '3'].map((seed) => client.uploadBlob(paused(make(3 * MIB, seed), gate.promise)))
    const known = make(10, 'known to all')
    await blobs.uploadBlob(blobMessages(known))
    await expect
      .poll(async () => refusalOf(download(client, { digest: digestOf(known) })).catch(() => undefined))
      .toMatchObject({ reason: 'OVERLOADED' })
    expect(await four.client(BlobService, 'bob').uploadBlob(blobMessages(known))).toMatchObject({ existed: true })
    gate.resolve()
    await Promise.all(running)
    await four.stop()
  })

  test('releases budget and streams after every kind of broken stream', { timeout: 120_000 }, async () => {
    const random = seeded(7)
    // grpc-js sends nothing for a call that is cancelled at once, so the service can only detect its silence.
    const client = byteStream(artifact.address)
    const uploads = artifact.client(UploadService)
    const hasty = artifact.client(BlobService)
    const stored = make(20 * MIB, 'stored')
    await blobs.uploadBlob(blobMessages(stored))
    const leaveAfter = (signal: AbortController, count: number) => (index: number) =>
      index >= count ? signal.abort() : undefined
    const ways: ((bytes: Buffer, cut: number) => Promise<unknown>)[] = [
      (bytes, cut) => {
        const leaving = new AbortController()
        return hasty.uploadBlob(blobMessages(bytes, { onChunk: leaveAfter(leaving, cut) }), { signal: leaving.signal })
      },
      (bytes, cut) => hasty.uploadBlob(blobMessages(bytes.subarray(0, cut * MIB), { sizeBytes: 20n * BigInt(MIB) })),
      (bytes) => hasty.uploadBlob(blobMessages(bytes, { digest: digestOf(stored.subarray(1)) })),
      (bytes, cut) => writeBlob(client, uploadName(bytes), bytes, { to: cut * MIB, finish: false }),
      (bytes) => writeBlob(client, uploadName(stored.subarray(2)), bytes),
      async (bytes, cut) => {
        const call = beginWrite(client)
        await call.send({ resource_name: uploadName(bytes), data: bytes.subarray(0, cut * 1000) })
        call.cancel()
        await call.answer
      },
      async (bytes) => writePart(uploads, await startUpload(uploads, bytes), Buffer.from(bytes).fill(0), 2),
      async (_bytes, cut) => {
        const leaving = new AbortController()
        let count = 0
        for await (const _ of hasty.downloadBlob({ digest: digestOf(stored) }, { signal: leaving.signal })) {
          if ((count += 1) > cut) leaving.abort()
        }
      },
      async () => {
        const stream = client['Read']!({ resource_name: blobName(stored) }) as AsyncIterable<unknown>
        for await (const _ of stream) break
      },
    ]
    for (let round = 0; round < 4; round += 1) {
      const broken = ways.map((way, index) =>
        way(make(17 * MIB, `broken ${round} ${index}`), 1 + Math.floor(random() * 15)),
      )
      await Promise.allSettled(broken)
    }
    await expect.poll(() => budget.used, { timeout: 10_000 }).toBe(0)
    client.close()
    await blobs.uploadBlob(blobMessages(make(30 * MIB, 'after all')))
  })
})

/** A generator of the same numbers in every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
