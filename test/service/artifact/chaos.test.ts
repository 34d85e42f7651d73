// Every fault of an S3 server, at every operation that the service calls.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { MIB } from '../../support/artifact.ts'
import { blobMessages, makeBytes, startUpload, writePart } from '../../support/bytes.ts'
import {
  expectNothingLeft,
  retryUntilSuccess,
  pull,
  pushInOneStream,
  pushInParts,
  startChaosArtifact,
  type ChaosArtifact,
} from '../../support/chaos-artifact.ts'
import { POSSIBLE, type FaultName } from '../../support/chaos-faults.ts'
import type { Operation } from '../../support/chaos-exchange.ts'

const SMALL = 2 * MIB
/** Two parts. */
const LARGE = 16 * MIB + 999

/** Reasons after which a client must retry the call or restart the upload. */
const CLEAR = ['DEPENDENCY_UNAVAILABLE', 'UPLOAD_CLOSED', 'PARTS_MISSING']

let place: ChaosArtifact
beforeAll(async () => {
  place = await startChaosArtifact()
})
afterAll(() => place.stop())

const UPLOADING_AT_ONCE: Operation[] = ['PutObject']
const UPLOADING_A_STREAM: Operation[] = ['CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload']
const UPLOADING_PARTS: Operation[] = [...UPLOADING_A_STREAM, 'HeadObject', 'GetObject']
const REMOVING: Operation[] = ['ListUploads', 'AbortMultipartUpload', 'DeleteObject']

/** Each fault with the operations that it can affect. */
function faultsOf(operations: Operation[]): [FaultName, Operation[]][] {
  const faults = [...new Set(operations.flatMap((operation) => POSSIBLE[operation]))]
  return faults.map((fault) => [fault, operations.filter((operation) => POSSIBLE[operation].includes(fault))])
}

/** Injects the fault once at each operation, repeats `go` until it succeeds, and returns the reasons of its failures. */
async function meet(fault: FaultName, operations: Operation[], go: () => Promise<void>): Promise<string[]> {
  const from = place.chaos.seen.length
  for (const operation of operations) place.chaos.harm({ operation, fault })
  const reasons = await retryUntilSuccess(go, 2 * operations.length + 1)
  place.chaos.heal()
  const met = new Set(place.chaos.seen.slice(from).flatMap((seen) => (seen.fault === fault ? [seen.operation] : [])))
  // The service checks for an object only where a completion failed.
  expect([...met]).toEqual(expect.arrayContaining(operations.filter((operation) => operation !== 'HeadObject')))
  return reasons
}

function expectClear(reasons: string[], more: string[] = []): void {
  for (const reason of reasons) expect([...CLEAR, ...more]).toContain(reason)
}

test.each(faultsOf(UPLOADING_AT_ONCE))('a small blob survives %s', async (fault, operations) => {
  const bytes = makeBytes(SMALL, `small ${fault}`)
  expectClear(await meet(fault, operations, () => pushInOneStream(place, bytes)))
  await pull(place, bytes)
})

test.each(faultsOf(UPLOADING_A_STREAM))('a blob in one stream survives %s at %s', async (fault, operations) => {
  const bytes = makeBytes(LARGE, `stream ${fault}`)
  expectClear(await meet(fault, operations, () => pushInOneStream(place, bytes)))
  await pull(place, bytes)
})

test.each(faultsOf(UPLOADING_PARTS))('a blob in parts survives %s at %s', async (fault, operations) => {
  const bytes = makeBytes(LARGE, `parts ${fault}`)
  expectClear(await meet(fault, operations, () => pushInParts(place, bytes)))
  await pull(place, bytes)
})

test.each(faultsOf(['GetObject']))('a download survives %s', async (fault, operations) => {
  const bytes = makeBytes(LARGE, 'to be downloaded')
  await pushInOneStream(place, bytes)
  expectClear(await meet(fault, operations, () => pull(place, bytes)), ['BLOB_CORRUPT'])
})

test('a blob in parts survives a lost answer to its completion while its object is not visible yet', async () => {
  const bytes = makeBytes(LARGE, 'stale')
  place.chaos.harm({ operation: 'CompleteMultipartUpload', fault: 'a lost answer' })
  place.chaos.harm({ operation: 'HeadObject', fault: 'not found yet', times: 2 })
  expectClear(await retryUntilSuccess(() => pushInParts(place, bytes), 6))
  place.chaos.heal()
  await pull(place, bytes)
})

describe('while every request of a kind fails', () => {
  test.each([
    ['PutObject', 'too busy', SMALL],
    ['PutObject', 'a lost answer', SMALL],
    ['PutObject', 'silence', SMALL],
    ['CreateMultipartUpload', 'a reset before the body', LARGE],
    ['UploadPart', 'an error after it was done', LARGE],
    ['UploadPart', 'a skewed clock', LARGE],
    ['CompleteMultipartUpload', 'an error that looks like success', LARGE],
    ['CompleteMultipartUpload', 'a reset after the body', LARGE],
  ] as [Operation, FaultName, number][])(
    'at %s with %s, uploads are rejected as unavailable, and succeed afterwards',
    async (operation, fault, size) => {
      const bytes = makeBytes(size, `down ${operation} ${fault}`)
      place.chaos.harm({ operation, fault, times: Infinity })
      for (const go of [pushInOneStream, size === LARGE ? pushInParts : pushInOneStream]) {
        await expect(retryUntilSuccess(() => go(place, bytes), 1)).rejects.toThrow('DEPENDENCY_UNAVAILABLE')
      }
      place.chaos.heal()
      await pushInParts(place, bytes)
      await pull(place, bytes)
    },
  )

  test('rejected requests do not use up connections', async () => {
    place.chaos.harm({ operation: 'GetObject', fault: 'too busy', times: 150 })
    const bytes = makeBytes(10, 'refused often')
    await pushInOneStream(place, bytes)
    const tries = Array.from({ length: 150 }, () =>
      retryUntilSuccess(() => pull(place, bytes), 1).catch(() => undefined),
    )
    await Promise.all(tries)
    place.chaos.heal()
    await pull(place, bytes)
    expect((await fetch(`${place.artifact.address}/healthz`)).status).toBe(200)
  })
})

describe('the removal of pending deletions', () => {
  const expectNothingPending = async (): Promise<void> => {
    const rows = async () => {
      // A failed removal leaves its row claimed for a while.
      await place.artifact.sql('update artifact.doomed_object set claimed_until = null')
      return place.artifact.sql('select object_key from artifact.doomed_object')
    }
    await expect.poll(rows, { timeout: 20_000, interval: 300 }).toEqual([])
  }

  test.each(faultsOf(REMOVING))('succeeds in spite of %s at %s', async (fault, operations) => {
    const bytes = makeBytes(LARGE, `aborted ${fault}`)
    const upload = await startUpload(place.uploads, bytes)
    await writePart(place.uploads, upload, bytes, 2)
    for (const operation of operations) place.chaos.harm({ operation, fault })
    await place.uploads.abortUpload({ uploadId: upload.id })
    await expectNothingPending()
    place.chaos.heal()
  })

  test('removes every object but those of blobs', async () => {
    // The second object of the same bytes, in another namespace, is not needed.
    const shared = makeBytes(LARGE, 'shared')
    await pushInOneStream(place, shared)
    await place.artifact.client(BlobService, 'carol').uploadBlob(blobMessages(shared, { namespace: 'other' }))
    await expectNothingLeft(place)
  })

  test('completes no upload twice', () => {
    expect(place.chaos.mostAtOnce).toBe(1)
    expect(Math.max(...place.chaos.completed.values())).toBe(1)
  })
})
