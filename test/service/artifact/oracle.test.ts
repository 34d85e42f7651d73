// No answer reveals the blobs of a namespace that the caller may not read: a digest that exists there is answered exactly
// like an unknown one.
import { ConnectError } from '@connectrpc/connect'
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { DirectService } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes, partMessages } from '../../support/bytes.ts'

const namespace = 'other'

describe.each(STORES)('blobs of other namespaces in %s', async (_kind, createStore) => {
  const store = await createStore()
  const artifact = await startArtifact(store)
  afterAll(() => artifact.stop())
  const carol = <S extends Parameters<typeof artifact.client>[0]>(service: S) => artifact.client(service, 'carol')

  /** The answers for a digest that exists in the other namespace and for an unknown one, without the values that always
   * differ: digests, ids, keys and times. */
  async function compare(name: string, look: (bytes: Buffer, digest: string) => Promise<unknown>): Promise<string[]> {
    const [known, unknown] = [makeBytes(MIB, `known to others ${name}`), makeBytes(MIB, `known to nobody ${name}`)]
    await artifact.client(BlobService, 'alice').uploadBlob(blobMessages(known))
    const answers: string[] = []
    for (const bytes of [known, unknown]) {
      const digest = digestOf(bytes)
      const answer = await look(bytes, digest).catch((error: unknown) => {
        const { code, rawMessage, details } = ConnectError.from(error)
        return { code, rawMessage, details }
      })
      answers.push(neutral(answer, digest))
    }
    return answers
  }

  const PROBES: [string, (bytes: Buffer, digest: string) => Promise<unknown>][] = [
    ['FindMissingBlobs', (_bytes, digest) => carol(BlobService).findMissingBlobs({ namespace, digests: [digest] })],
    ['GetBlob', (_bytes, digest) => carol(BlobService).getBlob({ namespace, digest })],
    ['DownloadBlob', (_bytes, digest) => download(carol(BlobService), { namespace, digest })],
    [
      'StartUpload',
      (bytes, digest) => carol(UploadService).startUpload({ namespace, digest, sizeBytes: BigInt(bytes.length) }),
    ],
    [
      'StartUpload with another size',
      (_bytes, digest) => carol(UploadService).startUpload({ namespace, digest, sizeBytes: 7n }),
    ],
    [
      'CompleteUpload without the bytes',
      async (bytes, digest) => {
        const uploads = carol(UploadService)
        const { result } = await uploads.startUpload({ namespace, digest, sizeBytes: BigInt(bytes.length) })
        return uploads.completeUpload({ uploadId: (result.value as { id: string }).id })
      },
    ],
    [
      'an upload in parts',
      async (bytes, digest) => {
        const uploads = carol(UploadService)
        const { result } = await uploads.startUpload({ namespace, digest, sizeBytes: BigInt(bytes.length) })
        const { id } = result.value as { id: string }
        const part = await uploads.writePart(partMessages(id, 1, bytes))
        return [part, await uploads.completeUpload({ uploadId: id })]
      },
    ],
    ['UploadBlob', (bytes) => carol(BlobService).uploadBlob(blobMessages(bytes, { namespace }))],
    [
      'UploadBlob with half of the bytes',
      (bytes, digest) =>
        carol(BlobService).uploadBlob(
          blobMessages(bytes.subarray(0, 1000), { namespace, digest, sizeBytes: BigInt(bytes.length) }),
        ),
    ],
    [
      'CreateManifest',
      (bytes, digest) =>
        carol(ManifestService).createManifest({
          namespace,
          files: [{ path: 'a', digest, sizeBytes: BigInt(bytes.length) }],
        }),
    ],
    ['GetManifest', (_bytes, digest) => carol(ManifestService).getManifest({ namespace, digest })],
    ['GetDownloadPlan', (_bytes, digest) => carol(DirectService).getDownloadPlan({ namespace, digest })],
    [
      'VerifyBlob',
      async (_bytes, digest) => {
        for await (const answer of carol(MaintenanceService).verifyBlob({ namespace, digest })) return answer
        return undefined
      },
    ],
  ]

  test.each(PROBES)('%s answers as if no namespace had the blob', async (name, look) => {
    const [known, unknown] = await compare(name, look)
    expect(known).toBe(unknown)
  })

  test('a namespace gets the blob after it sent all bytes, with an event of its own', async () => {
    const bytes = makeBytes(3 * MIB, 'sent in full')
    const alice = artifact.client(BlobService, 'alice')
    await alice.uploadBlob(blobMessages(bytes))
    let sent = 0
    const { existed, blob } = await carol(BlobService).uploadBlob(
      blobMessages(bytes, { namespace, onChunk: () => void (sent += 1) }),
    )
    expect(existed).toBe(false)
    expect(sent).toBe(4)
    expect(blob!.verifyTime).toBeUndefined()
    await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
    const { length } = await artifact.sql(`select * from artifact.blob where digest = '${digestOf(bytes)}'`)
    expect(length).toBe(1)
  })

  test('a namespace without the blob cannot revive one that another released', async () => {
    const bytes = makeBytes(1000, 'let go')
    const digest = digestOf(bytes)
    await artifact.client(BlobService, 'alice').uploadBlob(blobMessages(bytes))
    await carol(BlobService).findMissingBlobs({ namespace, digests: [digest] })
    const rows = await artifact.sql(`select namespace from artifact.namespace_blob where digest = '${digest}'`)
    expect(rows).toEqual([{ namespace: 'default' }])
  })
})

function neutral(answer: unknown, digest: string): string {
  const text = JSON.stringify(answer, (key, value: unknown) => {
    if (['createTime', 'expireTime', 'partSha256s', 'sha256', 'content'].includes(key)) return 'x'
    return typeof value === 'bigint' ? String(value) : value
  })
  return (text ?? '')
    .replaceAll(digest, 'DIGEST')
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
    .replaceAll(/sha256:[0-9a-f]{64}/g, 'OTHER')
    .replaceAll(/"value":\{[^}]*\}/g, (bytes) => (/"\d+":\d+/.test(bytes) ? '"value":"BYTES"' : bytes))
}
