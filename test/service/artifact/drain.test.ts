// A replica that is stopped while it receives parts.
import { createClient, type Client } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-node'
import { afterAll, expect, test, vi } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { MIB } from '../../support/artifact.ts'
import { chunkMessages, digestOf, download, makeBytes, partOf, sha256, startUpload } from '../../support/bytes.ts'
import { createDatabase } from '../../support/database.ts'
import { startFakeIdentity } from '../../support/fake-identity.ts'
import { minioSettings } from '../../support/minio.ts'
import { refusalOf } from '../../support/refusal.ts'
import { grpcClient, startProcess } from '../../support/suite.ts'

const database = await createDatabase()
const peer = await startFakeIdentity({ alice: { principal: 'alice', roles: { default: Role.CONTRIBUTOR } } })
const store = await minioSettings()
afterAll(async () => {
  await peer.close()
  await database.drop()
})

const start = (drainSeconds: number) =>
  startProcess('artifact', {
    PORT: '0',
    DATABASE_URL: database.url,
    SERVICE_TOKEN: `mks_${'a'.repeat(40)}`,
    TRUSTED_SERVICES: `metadata=${'0'.repeat(64)}`,
    METADATA_ADDRESS: peer.address,
    AUDIT_ADDRESS: peer.address,
    DRAIN_SECONDS: String(drainSeconds),
    ...store,
  })

const CLIENTS = {
  'gRPC over HTTP/2': (address: string) => grpcClient(UploadService, address, 'alice'),
  'Connect over HTTP/1.1': (baseUrl: string) =>
    createClient(
      UploadService,
      createConnectTransport({
        baseUrl,
        httpVersion: '1.1',
        interceptors: [
          (next) => (request) => {
            request.header.set('authorization', 'Bearer alice')
            return next(request)
          },
        ],
      }),
    ),
}

/** The messages of a part; all chunks but the first wait for `gate`. */
function writeHalf(
  uploads: Client<typeof UploadService>,
  uploadId: string,
  number: number,
  part: Uint8Array,
  gate: Promise<void>,
) {
  const begun = Promise.withResolvers<void>()
  const messages = async function* () {
    yield { message: { case: 'header' as const, value: { uploadId, number, sha256: sha256(part) } } }
    const onChunk = async (index: number): Promise<void> => {
      if (index !== 1) return
      begun.resolve()
      await gate
    }
    yield* chunkMessages(part, { onChunk })
  }
  return { written: uploads.writePart(messages()), begun: begun.promise }
}

test.each(Object.entries(CLIENTS))(
  '%s: stores the parts in transit before it stops, and another process continues',
  async (name, clientOf) => {
    const [leaving, staying] = await Promise.all([start(20), start(20)])
    try {
      const bytes = makeBytes(16 * MIB + 2 * MIB, `drained ${name}`)
      const uploads = clientOf(leaving.address)
      const upload = await startUpload(uploads, bytes)
      const gate = Promise.withResolvers<void>()
      const { written, begun } = writeHalf(uploads, upload.id, 2, partOf(bytes, upload, 2), gate.promise)
      await begun
      const ended = leaving.terminate()
      await vi.waitFor(() => expect(leaving.logs.join('\n')).toContain('draining'), { timeout: 15_000 })
      gate.resolve()
      expect((await written).part!.number).toBe(2)
      expect(await ended).toBe(0)
      const others = grpcClient(UploadService, staying.address, 'alice')
      expect((await others.getUpload({ uploadId: upload.id })).upload!.parts.map(({ number }) => number)).toEqual([2])
      await writeHalf(others, upload.id, 1, partOf(bytes, upload, 1), Promise.resolve()).written
      await others.completeUpload({ uploadId: upload.id })
      const received = await download(grpcClient(BlobService, staying.address, 'alice'), { digest: digestOf(bytes) })
      expect(received.equals(bytes)).toBe(true)
    } finally {
      await Promise.all([leaving.kill(), staying.kill()])
    }
  },
)

test('cuts off a part that takes longer than the drain time, and the client sends it to another process', async () => {
  const [leaving, staying] = await Promise.all([start(1), start(1)])
  try {
    const bytes = makeBytes(16 * MIB + 2 * MIB, 'cut off')
    const uploads = grpcClient(UploadService, leaving.address, 'alice')
    const upload = await startUpload(uploads, bytes)
    const { written, begun } = writeHalf(uploads, upload.id, 2, partOf(bytes, upload, 2), new Promise(() => {}))
    const refusal = refusalOf(written)
    await begun
    expect(await leaving.terminate()).toBe(0)
    expect(['Unavailable', 'Canceled', 'Aborted', 'Internal', 'Unknown']).toContain((await refusal).code)
    const others = grpcClient(UploadService, staying.address, 'alice')
    expect((await startUpload(others, bytes)).id).toBe(upload.id)
    for (const number of [1, 2]) {
      await writeHalf(others, upload.id, number, partOf(bytes, upload, number), Promise.resolve()).written
    }
    expect((await others.completeUpload({ uploadId: upload.id })).blob!.digest).toBe(digestOf(bytes))
  } finally {
    await Promise.all([leaving.kill(), staying.kill()])
  }
})
