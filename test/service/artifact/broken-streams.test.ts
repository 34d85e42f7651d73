import { connect, constants } from 'node:http2'
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, chunkMessages, digestOf, makeBytes, sha256, startUpload } from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'

describe.each(STORES)('broken streams to %s', async (_kind, createStore) => {
  const store = await createStore()
  const artifact = await startArtifact(store)
  const hasty = await artifact.addReplica({ limits: { streamIdleSeconds: 1 } })
  const small = await artifact.addReplica({ limits: { uploadMemoryBytes: 96 * MIB, budgetWaitMs: 100 } })
  afterAll(async () => {
    await hasty.stop()
    await small.stop()
    await artifact.stop()
  })
  const alice = artifact.client(BlobService)
  const bytes = makeBytes(40 * MIB, 'broken')

  /** Expects an empty store, and no rows that refer to objects. */
  async function expectNothingLeft(): Promise<void> {
    await expect.poll(() => artifact.sql('select * from artifact.upload where not resumable')).toEqual([])
    await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
    expect(await store.listObjects()).toEqual([])
    expect(await artifact.sql('select * from artifact.blob')).toEqual([])
  }

  test('rejects a stream with fewer bytes than announced, and leaves nothing', async () => {
    const sizeBytes = BigInt(bytes.length + 1)
    const refusal = await refusalOf(alice.uploadBlob(blobMessages(bytes, { sizeBytes })))
    const metadata = { expected: String(sizeBytes), actual: String(bytes.length) }
    expect(refusal).toMatchObject({ code: 'InvalidArgument', reason: 'SIZE_MISMATCH', metadata })
    await expectNothingLeft()
  })

  test('ends a stream with more bytes than announced at once, and leaves nothing', async () => {
    let sent = 0
    const sizeBytes = BigInt(2 * MIB)
    const messages = blobMessages(bytes, { sizeBytes, onChunk: () => void (sent += 1) })
    expect(await refusalOf(alice.uploadBlob(messages))).toMatchObject({ reason: 'SIZE_MISMATCH' })
    expect(sent).toBeLessThan(40)
    await expectNothingLeft()
  })

  test.each([3, 40 * MIB])(
    'rejects %d bytes with another digest than announced, and leaves nothing',
    async (length) => {
      const digest = digestOf(makeBytes(9, 'other'))
      const sent = bytes.subarray(0, length)
      expect(await refusalOf(alice.uploadBlob(blobMessages(sent, { digest })))).toMatchObject({
        code: 'InvalidArgument',
        reason: 'DIGEST_MISMATCH',
        metadata: { expected: digest, actual: digestOf(sent) },
      })
      await expectNothingLeft()
    },
  )

  test('rejects messages out of order, and leaves nothing', async () => {
    const header = { digest: digestOf(bytes), sizeBytes: BigInt(bytes.length) }
    const streams = [
      async function* () {},
      () => chunkMessages(bytes.subarray(0, 9)),
      async function* () {
        yield* blobMessages(bytes.subarray(0, 20 * MIB), header)
        yield { message: { case: 'header' as const, value: header } }
      },
    ]
    for (const messages of streams) {
      expect(await refusalOf(alice.uploadBlob(messages()))).toMatchObject({ reason: 'STREAM_INVALID' })
    }
    await expectNothingLeft()
  })

  test.each([
    ['header.digest', { digest: 'sha256:0' }],
    ['header.size_bytes', { sizeBytes: -1n }],
    ['header.size_bytes', { sizeBytes: 6n * 1024n ** 4n }],
  ])('rejects a header with a bad %s', async (field, header) => {
    const refusal = await refusalOf(alice.uploadBlob(blobMessages(bytes, header)))
    expect(refusal).toMatchObject({ code: 'InvalidArgument', fields: [field] })
  })

  test('ends the stream of a silent client, and leaves nothing', async () => {
    const silence = (index: number) => (index < 20 ? undefined : new Promise<void>(() => {}))
    const blobs = hasty.client(BlobService)
    expect(await refusalOf(blobs.uploadBlob(blobMessages(bytes, { onChunk: silence })))).toMatchObject({
      code: 'DeadlineExceeded',
      reason: 'STREAM_IDLE',
      metadata: { idle_seconds: '1' },
    })
    const uploads = hasty.client(UploadService)
    const upload = await startUpload(uploads, bytes)
    const messages = async function* () {
      yield { message: { case: 'header' as const, value: { uploadId: upload.id, number: 1, sha256: sha256(bytes) } } }
      await new Promise<void>(() => {})
    }
    expect(await refusalOf(uploads.writePart(messages()))).toMatchObject({ reason: 'STREAM_IDLE' })
    await uploads.abortUpload({ uploadId: upload.id })
    await expectNothingLeft()
  })

  test('leaves nothing of a client that disconnects, even within a message', async () => {
    const abort = new AbortController()
    const stop = (index: number) => (index === 30 ? abort.abort() : undefined)
    await refusalOf(alice.uploadBlob(blobMessages(bytes, { onChunk: stop }), { signal: abort.signal }))
    await vanishMidMessage(artifact.address, bytes, () =>
      expect.poll(() => artifact.sql('select * from artifact.upload where not resumable')).toHaveLength(1),
    )
    await expectNothingLeft()
  })

  test('lets uploads beyond the memory limit wait, and then reports an overload', async () => {
    const blobs = small.client(BlobService)
    const gate = Promise.withResolvers<void>()
    const started = Promise.withResolvers<void>()
    const pause = (index: number) => {
      if (index === 1) started.resolve()
      return index < 2 ? undefined : gate.promise
    }
    const others = ['first', 'second'].map((seed) => makeBytes(33 * MIB, seed))
    const running = others.map((other) => blobs.uploadBlob(blobMessages(other, { onChunk: pause })))
    await started.promise
    await expect
      .poll(async () => (await artifact.sql('select * from artifact.upload where not resumable')).length)
      .toBe(2)
    const refusal = await refusalOf(blobs.uploadBlob(blobMessages(bytes)))
    expect(refusal).toMatchObject({ code: 'ResourceExhausted', reason: 'OVERLOADED' })
    gate.resolve()
    await Promise.all(running)
    await blobs.uploadBlob(blobMessages(bytes))
  })
})

/** Sends the header, a chunk and half a chunk, and closes the connection. */
async function vanishMidMessage(address: string, bytes: Buffer, begun: () => Promise<void>): Promise<void> {
  const session = connect(address)
  const stream = session.request({
    ':method': 'POST',
    ':path': '/modelkeep.artifact.v1.BlobService/UploadBlob',
    'content-type': 'application/connect+json',
    authorization: 'Bearer alice',
  })
  stream.on('error', () => {})
  session.on('error', () => {})
  const envelope = (json: object): Buffer => {
    const text = Buffer.from(JSON.stringify(json))
    const head = Buffer.alloc(5)
    head.writeUInt32BE(text.length, 1)
    return Buffer.concat([head, text])
  }
  const chunk = envelope({ chunk: bytes.subarray(0, 500_000).toString('base64') })
  const message = envelope({ header: { digest: digestOf(bytes), sizeBytes: String(bytes.length) } })
  await new Promise((resolve) => stream.write(Buffer.concat([message, chunk, chunk.subarray(0, 300_000)]), resolve))
  await begun()
  session.destroy(undefined, constants.NGHTTP2_CANCEL)
}
