import type { HandlerContext } from '@connectrpc/connect'
import type { GetUploadRequest } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { forkFor } from '#lib/store/database.ts'
import { listParts } from '../../store/uploads/upload-part.ts'
import type { Backend } from '../../deps.ts'
import { presentUpload } from '../present.ts'
import { requireUpload } from './require-upload.ts'

export async function getUpload({ database }: Backend, request: GetUploadRequest, context: HandlerContext) {
  const upload = await requireUpload(database, request.uploadId, 'upload_id', context)
  const parts = await listParts(forkFor(database, context.signal), upload.id)
  return { upload: presentUpload(upload, parts) }
}
