// A valid request of each RPC of the artifact service, with every field filled in.
import { createHash, randomUUID } from 'node:crypto'
import { ByteStream } from '../../../gen/google/bytestream/bytestream_pb.ts'
import { BlobService } from '../../../gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { DirectService } from '../../../gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { MaintenanceService } from '../../../gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { ManifestService } from '../../../gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '../../../gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { BYTES, DIGEST, digestOf, makeUpload, newBytes, newName, valid, validStream, type Valid } from './world.ts'

const blobs = BlobService.method
const uploads = UploadService.method
const manifests = ManifestService.method
const direct = DirectService.method
const maintenance = MaintenanceService.method
const bytestream = ByteStream.method

const BLOB = { namespace: 'default', digest: DIGEST }
const TWO_PARTS = 17 * 1024 * 1024
const PART = 16 * 1024 * 1024
const sha256 = createHash('sha256').update('a part').digest()
const hexOf = (bytes: Uint8Array) => digestOf(bytes).replace('sha256:', '')

export const VALID_ARTIFACT: Valid[] = [
  valid(blobs.findMissingBlobs, () => ({ namespace: 'default', digests: [DIGEST] })),
  valid(blobs.getBlob, () => BLOB),
  validStream(blobs.uploadBlob, () => {
    const bytes = newBytes()
    const header = { namespace: 'default', digest: digestOf(bytes), sizeBytes: BigInt(bytes.length) }
    return [
      { message: { case: 'header' as const, value: header } },
      { message: { case: 'chunk' as const, value: bytes } },
    ]
  }),
  valid(blobs.downloadBlob, () => ({ ...BLOB, offset: 1n, length: 2n })),

  valid(direct.signParts, async (world) => ({
    uploadId: await makeUpload(world, TWO_PARTS),
    parts: [
      {
        number: 1,
        sha256,
      },
    ],
  })),
  valid(direct.confirmParts, async (world) => ({
    uploadId: await makeUpload(world, TWO_PARTS),
    parts: [{ number: 1, sha256, etag: '"0123abcd"', sizeBytes: BigInt(PART) }],
  })),
  valid(direct.getDownloadPlan, () => BLOB),

  valid(maintenance.collectGarbage, () => ({ namespace: 'default', dryRun: true })),
  valid(maintenance.verifyBlob, () => BLOB),
  valid(maintenance.getStorage, () => ({})),

  valid(manifests.createManifest, () => ({
    namespace: 'default',
    files: [
      {
        path: `${newName()}/model.bin`,
        digest: DIGEST,
        sizeBytes: BigInt(BYTES.length),
        mediaType: 'application/vnd.cncf.model.weight.v1.raw',
      },
    ],
  })),
  valid(manifests.getManifest, ({ manifest }) => ({ namespace: 'default', digest: manifest })),
  valid(
    manifests.retainManifest,
    ({ manifest }) => ({ namespace: 'default', digest: manifest, versionId: randomUUID() }),
    'mks_metadata',
  ),
  valid(
    manifests.releaseManifest,
    ({ manifest }) => ({ namespace: 'default', digest: manifest, versionId: randomUUID() }),
    'mks_metadata',
  ),

  valid(uploads.startUpload, () => ({ namespace: 'default', digest: digestOf(newBytes()), sizeBytes: 100n })),
  validStream(uploads.writePart, async (world) => {
    const bytes = newBytes()
    const uploadId = await makeUpload(world, bytes.length)
    const header = { uploadId, number: 1, sha256: createHash('sha256').update(bytes).digest() }
    return [
      { message: { case: 'header' as const, value: header } },
      { message: { case: 'chunk' as const, value: bytes } },
    ]
  }),
  valid(uploads.getUpload, async (world) => ({ uploadId: await makeUpload(world, 100) })),
  valid(uploads.completeUpload, async (world) => {
    const bytes = newBytes()
    return { uploadId: await makeUpload(world, bytes.length, bytes) }
  }),
  valid(uploads.abortUpload, async (world) => ({ uploadId: await makeUpload(world, 100) })),

  valid(bytestream.read, () => ({
    resourceName: `default/blobs/${hexOf(BYTES)}/${BYTES.length}`,
    readOffset: 1n,
    readLimit: 2n,
  })),
  validStream(bytestream.write, () => {
    const bytes = newBytes()
    const resourceName = `default/uploads/${randomUUID()}/blobs/${hexOf(bytes)}/${bytes.length}`
    return [{ resourceName, writeOffset: 0n, data: bytes, finishWrite: true }]
  }),
  valid(bytestream.queryWriteStatus, () => ({
    resourceName: `default/uploads/${randomUUID()}/blobs/${hexOf(BYTES)}/${BYTES.length}`,
  })),
]
