import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { forkFor } from '#lib/store/database.ts'
import { Upload } from '../../store/uploads/upload.ts'
import type { Backend } from '../../deps.ts'
import { failUnknown } from './upload-errors.ts'

/** The caller's resumable upload. Throws UPLOAD_NOT_FOUND for uploads of other callers as well. */
export async function requireUpload(
  database: Backend['database'],
  uploadId: string,
  field: string,
  context: HandlerContext,
): Promise<Upload> {
  const access = accessOf(context)
  const id = parseUuid(uploadId, field)
  const { principal } = access.caller
  const upload = await forkFor(database, context.signal).findOne(Upload, { id, principal, resumable: true })
  if (!upload) failUnknown(id)
  access.require(upload.namespace, () => failUnknown(id))
  return upload
}
