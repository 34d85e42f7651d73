// Uploads and downloads a file that is far larger than the memory of the service, and compares every byte.
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BlobService } from '../../gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { CHUNK_BYTES } from '../support/journey.ts'
import { minioSettings } from '../support/minio.ts'
import { startSuite, type Suite } from '../support/suite.ts'

const MEBIBYTE = 1024 * 1024
const SMALL = 256 * MEBIBYTE
/** The size can be raised with `LARGE_MIB=2048`. */
const LARGE = Number(process.env['LARGE_MIB'] ?? 768) * MEBIBYTE

let suite: Suite
beforeAll(async () => {
  suite = await startSuite(await minioSettings())
})
afterAll(() => suite.stop())

const noise = randomBytes(CHUNK_BYTES)

/** Yields `size` bytes that no store can compress or deduplicate: noise that begins with its position. */
function* content(size: number): Generator<Buffer> {
  for (let at = 0; at < size; at += CHUNK_BYTES) {
    const chunk = Buffer.from(noise.subarray(0, Math.min(CHUNK_BYTES, size - at)))
    if (chunk.length >= 8) chunk.writeBigUInt64LE(BigInt(at) + BigInt(size))
    yield chunk
  }
}

function digestOf(size: number): string {
  const hash = createHash('sha256')
  for (const chunk of content(size)) hash.update(chunk)
  return `sha256:${hash.digest('hex')}`
}

async function* uploadOf(size: number, digest: string) {
  yield { message: { case: 'header' as const, value: { digest, sizeBytes: BigInt(size) } } }
  for (const value of content(size)) yield { message: { case: 'chunk' as const, value } }
}

/** Uploads, downloads and compares. Returns the peak resident memory of the artifact service in MiB. */
async function roundTrip(size: number): Promise<number> {
  const blobs = suite.client(BlobService)
  const digest = digestOf(size)
  await blobs.uploadBlob(uploadOf(size, digest))
  const hash = createHash('sha256')
  for await (const { message } of blobs.downloadBlob({ digest }))
    if (message.case === 'chunk') hash.update(message.value)
  expect(`sha256:${hash.digest('hex')}`).toBe(digest)
  return peakMemory()
}

function peakMemory(): number {
  const status = readFileSync(`/proc/${suite.processes.artifact.pid}/status`, 'utf8')
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)![1]) / 1024)
}

test.skipIf(process.platform !== 'linux')(
  `transfers ${LARGE / MEBIBYTE} MiB with no more memory than 256 MiB`,
  { timeout: 600_000 },
  async () => {
    const small = await roundTrip(SMALL)
    const large = await roundTrip(LARGE)
    console.log(`peak resident memory of the artifact service: ${small} MiB, and ${large} MiB after the larger file`)
    expect(large - small).toBeLessThan(256)
  },
)
