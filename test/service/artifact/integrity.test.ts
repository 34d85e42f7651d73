import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes } from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'

describe.each(STORES)('corruption in %s', async (_kind, createStore) => {
  const store = await createStore()
  const artifact = await startArtifact(store)
  afterAll(() => artifact.stop())
  const alice = artifact.client(BlobService)
  const bytes = makeBytes(33 * MIB, 'to be damaged')
  const digest = digestOf(bytes)
  await alice.uploadBlob(blobMessages(bytes))
  const [key] = await store.listObjects()
  // Prevents the scrubber from verifying the blob: it would quarantine it after the first read.
  await artifact.sql(`update artifact.blob set verifying_until = 'infinity'`)

  /** The bytes that arrive before the stream ends with an error. */
  async function receive(request: { offset?: bigint; length?: bigint }): Promise<number> {
    let received = 0
    const read = async (): Promise<void> => {
      for await (const { message } of alice.downloadBlob({ digest, ...request })) {
        if (message.case === 'chunk') received += message.value.length
      }
    }
    const refusal = await refusalOf(read())
    expect(refusal).toMatchObject({ code: 'DataLoss', reason: 'BLOB_CORRUPT', metadata: { digest } })
    return received
  }

  test.each([
    ['a wrong first byte of a part', 16 * MIB],
    ['a wrong byte in the middle', 20 * MIB],
    ['a wrong last byte of a part', 32 * MIB - 1],
  ])('detects %s, and never sends the end of the part', async (_where, at) => {
    const damaged = Buffer.from(bytes)
    damaged[at]! ^= 0x10
    await store.overwrite(key!, damaged)
    const received = await receive({})
    expect(received).toBeGreaterThanOrEqual(16 * MIB)
    expect(received).toBeLessThan(32 * MIB)
    // Ranges within the same part that end long before the bad byte, or begin after it.
    expect(await receive({ offset: BigInt(17 * MIB), length: 10n })).toBe(0)
    expect(await receive({ offset: BigInt(31 * MIB), length: 10n })).toBe(0)
    const other = await download(alice, { digest, length: BigInt(16 * MIB) })
    expect(other.equals(bytes.subarray(0, 16 * MIB))).toBe(true)
  })

  test('detects missing bytes', async () => {
    await store.overwrite(key!, bytes.subarray(0, bytes.length - 1))
    expect(await receive({})).toBeLessThan(bytes.length)
    await store.overwrite(key!, Buffer.alloc(0))
    expect(await receive({ offset: BigInt(20 * MIB) })).toBe(0)
  })

  test('reports a missing object as corruption, not as an unknown blob', async () => {
    await store.open().remove(key!)
    expect(await receive({})).toBe(0)
  })
})
