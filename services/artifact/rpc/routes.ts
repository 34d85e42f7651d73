import type { ConnectRouter, HandlerContext } from '@connectrpc/connect'
import { ByteStream } from '#gen/google/bytestream/bytestream_pb.ts'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { DirectService } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import type { ZeroCopyMethod } from '#lib/byte-streams/handler.ts'
import { MAX_CHUNK_BYTES } from '../domain/blob.ts'
import type { Backend } from '../deps.ts'
import { downloadBlob } from './blob/download-blob.ts'
import { findMissingBlobs } from './blob/find-missing-blobs.ts'
import { getBlob } from './blob/get-blob.ts'
import { uploadBlob } from './blob/upload-blob.ts'
import { queryWriteStatus } from './bytestream/query-write-status.ts'
import { read } from './bytestream/read.ts'
import { write } from './bytestream/write.ts'
import { confirmParts } from './direct/confirm-parts.ts'
import { getDownloadPlan } from './direct/get-download-plan.ts'
import { signParts } from './direct/sign-parts.ts'
import { collectGarbage } from './maintenance/collect-garbage.ts'
import { getStorage } from './maintenance/get-storage.ts'
import { verifyBlob } from './maintenance/verify-blob.ts'
import { createManifest } from './manifest/create-manifest.ts'
import { getManifest } from './manifest/get-manifest.ts'
import { releaseManifest } from './manifest/release-manifest.ts'
import { retainManifest } from './manifest/retain-manifest.ts'
import { abortUpload } from './upload/abort-upload.ts'
import { completeUpload } from './upload/complete-upload.ts'
import { getUpload } from './upload/get-upload.ts'
import { startUpload } from './upload/start-upload.ts'
import { writePart } from './upload/write-part.ts'

const CHUNK = { number: 2, maxBytes: MAX_CHUNK_BYTES }

/** The methods that the zero-copy handler answers: their messages carry bytes in the field `chunk`. */
export const BYTE_METHODS: ZeroCopyMethod[] = [
  { method: BlobService.method.uploadBlob, request: CHUNK },
  { method: BlobService.method.downloadBlob, response: CHUNK },
  { method: UploadService.method.writePart, request: CHUNK },
]

export function artifactRoutes(backend: Backend): (router: ConnectRouter) => void {
  const { streams } = backend
  return (router) => {
    router.service(BlobService, {
      findMissingBlobs: (request, context) => findMissingBlobs(backend, request, context),
      getBlob: (request, context) => getBlob(backend, request, context),
      uploadBlob: (requests, context) => streams.run(holderOf(context), () => uploadBlob(backend, requests, context)),
      downloadBlob: (request, context) =>
        streams.pass(holderOf(context), () => downloadBlob(backend, request, context)),
    })
    router.service(UploadService, {
      startUpload: (request, context) => startUpload(backend, request, context),
      writePart: (requests, context) => streams.run(holderOf(context), () => writePart(backend, requests, context)),
      getUpload: (request, context) => getUpload(backend, request, context),
      completeUpload: (request, context) => completeUpload(backend, request, context),
      abortUpload: (request, context) => abortUpload(backend, request, context),
    })
    router.service(DirectService, {
      signParts: (request, context) => signParts(backend, request, context),
      confirmParts: (request, context) => confirmParts(backend, request, context),
      getDownloadPlan: (request, context) => getDownloadPlan(backend, request, context),
    })
    router.service(MaintenanceService, {
      collectGarbage: (request, context) => collectGarbage(backend, request, context),
      verifyBlob: (request, context) => streams.pass(holderOf(context), () => verifyBlob(backend, request, context)),
      getStorage: (_request, context) => getStorage(backend, context),
    })
    router.service(ManifestService, {
      createManifest: (request, context) => createManifest(backend, request, context),
      getManifest: (request, context) => getManifest(backend, request, context),
      retainManifest: (request, context) => retainManifest(backend, request, context),
      releaseManifest: (request, context) => releaseManifest(backend, request, context),
    })
    router.service(ByteStream, {
      read: (request, context) => streams.pass(holderOf(context), () => read(backend, request, context)),
      write: (requests, context) => streams.run(holderOf(context), () => write(backend, requests, context)),
      queryWriteStatus: (request, context) => queryWriteStatus(backend, request, context),
    })
  }
}

/** Who holds a stream of bytes. */
function holderOf(context: HandlerContext): string {
  return accessOf(context).caller.principal
}
