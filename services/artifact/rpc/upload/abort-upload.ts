import type { HandlerContext } from '@connectrpc/connect'
import type { AbortUploadRequest } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { inTransaction } from '#lib/store/database.ts'
import { closeUpload, lockUpload } from '../../store/uploads/upload-state.ts'
import { UNFINISHED } from '../../store/uploads/upload.ts'
import type { Backend } from '../../deps.ts'
import { requireUpload } from './require-upload.ts'
import { failBusy, failClosed } from './upload-errors.ts'

export async function abortUpload(backend: Backend, request: AbortUploadRequest, context: HandlerContext) {
  const upload = await requireUpload(backend.database, request.uploadId, 'upload_id', context)
  await inTransaction(backend.database, context.signal, async (em) => {
    const locked = await lockUpload(em, upload.id)
    const { state, busy } = locked
    if (state === 'ABORTED') return
    if (!UNFINISHED.includes(state)) failClosed(locked)
    if (busy) failBusy(upload.id)
    await closeUpload(em, upload.id, { state: 'ABORTED' })
  })
  backend.digests.forget(upload.id)
  backend.janitor.wake()
  return {}
}
