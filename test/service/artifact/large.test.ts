import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { CHUNK_BYTES, MIB } from '../../support/artifact.ts'
import { chunkMessages, makeBytes, sha256 } from '../../support/bytes.ts'
import { createDatabase } from '../../support/database.ts'
import { startFakeIdentity } from '../../support/fake-identity.ts'
import { minioSettings } from '../../support/minio.ts'
import { grpcClient, startProcess, type RunningProcess } from '../../support/suite.ts'

/** The size: whole parts, larger than the memory of the process. Set `LARGE_MIB=2048` for a larger test. */
const SIZE = Number(process.env['LARGE_MIB'] ?? 768) * MIB
const BUDGET_MIB = 64
/** Memory of Node, the code, streams and uncollected garbage. */
const BASE_MIB = 640

const peer = await startFakeIdentity({ alice: { principal: 'alice', roles: { default: Role.CONTRIBUTOR } } })
const directory = await mkdtemp(join(tmpdir(), 'modelkeep-large-'))
afterAll(async () => {
  await peer.close()
  await rm(directory, { recursive: true })
})

/** The same MiB repeatedly, each with its number in its first bytes. */
const filler = makeBytes(MIB, 'large')
function* pieces(seed: number, from = 0, until = SIZE / MIB): Generator<Buffer> {
  for (let index = from; index < until; index += 1) {
    const piece = Buffer.from(filler)
    piece.writeUInt32BE(seed, 0)
    piece.writeUInt32BE(index, 4)
    yield piece
  }
}

test.each([
  ['MinIO', 1, minioSettings],
  ['a directory', 2, async () => ({ STORE: 'directory', STORE_DIRECTORY: directory })],
])(
  `transfers ${SIZE / MIB} MiB to and from %s with less memory than that`,
  { timeout: 600_000 },
  async (name, seed, store) => {
    // A separate database, because an installation has one store.
    const database = await createDatabase()
    const artifact = await startProcess('artifact', {
      PORT: '0',
      DATABASE_URL: database.url,
      SERVICE_TOKEN: `mks_${'a'.repeat(40)}`,
      TRUSTED_SERVICES: `metadata=${'0'.repeat(64)}`,
      METADATA_ADDRESS: peer.address,
      AUDIT_ADDRESS: peer.address,
      UPLOAD_MEMORY_MIB: String(BUDGET_MIB),
      ...(await store()),
    })
    let peak = 0
    const watch = (): void => void (peak = Math.max(peak, residentMib(artifact)))
    const digest = digestOfPieces(seed)
    const blobs = grpcClient(BlobService, artifact.address, 'alice')
    const uploads = grpcClient(UploadService, artifact.address, 'alice')

    const up = await measure(() => blobs.uploadBlob(send(digest, seed, watch)))
    const down = await measure(async () => {
      const received = createHash('sha256')
      let count = 0
      for await (const { message } of blobs.downloadBlob({ digest })) {
        if (message.case !== 'chunk') continue
        received.update(message.value)
        if ((count += 1) % 32 === 0) watch()
      }
      expect(`sha256:${received.digest('hex')}`).toBe(digest)
    })
    const parts = await measure(() => sendParts(uploads, seed + 10, watch))
    console.info(
      `${name}: up ${up} MB/s, down ${down} MB/s, up in four parallel parts ${parts} MB/s, at most ${peak} MiB`,
    )
    expect(peak).toBeLessThan(BASE_MIB + BUDGET_MIB)
    await artifact.kill()
    await database.drop()
  },
)

function digestOfPieces(seed: number): string {
  const hash = createHash('sha256')
  for (const piece of pieces(seed)) hash.update(piece)
  return `sha256:${hash.digest('hex')}`
}

async function* send(digest: string, seed: number, watch: () => void) {
  yield { message: { case: 'header' as const, value: { digest, sizeBytes: BigInt(SIZE) } } }
  let index = 0
  for (const piece of pieces(seed)) {
    if ((index += 1) % 32 === 0) watch()
    // Chunks of different lengths, as clients send them.
    yield { message: { case: 'chunk' as const, value: piece.subarray(0, CHUNK_BYTES) } }
    yield { message: { case: 'chunk' as const, value: piece.subarray(CHUNK_BYTES) } }
  }
}

/** Sends the same bytes as a resumable upload, four parts at a time. */
async function sendParts(
  uploads: ReturnType<typeof grpcClient<typeof UploadService>>,
  seed: number,
  watch: () => void,
) {
  const digest = digestOfPieces(seed)
  const { result } = await uploads.startUpload({ digest, sizeBytes: BigInt(SIZE) })
  const upload = result.case === 'upload' ? result.value : expect.unreachable()
  const numbers = Array.from({ length: upload.partCount }, (_, index) => index + 1)
  const worker = async (): Promise<void> => {
    for (let number = numbers.shift(); number; number = numbers.shift()) {
      const count = Number(upload.partSizeBytes) / MIB
      const bytes = Buffer.concat([...pieces(seed, (number - 1) * count, Math.min(number * count, SIZE / MIB))])
      const header = { uploadId: upload.id, number, sha256: sha256(bytes) }
      await uploads.writePart(
        (async function* () {
          yield { message: { case: 'header' as const, value: header } }
          yield* chunkMessages(bytes)
        })(),
      )
      watch()
    }
  }
  await Promise.all([worker(), worker(), worker(), worker()])
  await uploads.completeUpload({ uploadId: upload.id })
}

async function measure(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return Math.round(SIZE / 1000 / (performance.now() - began))
}

function residentMib({ pid }: RunningProcess): number {
  return Math.round(Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)]).toString()) / 1024)
}
