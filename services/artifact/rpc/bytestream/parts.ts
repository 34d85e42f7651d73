// Writing a blob of several parts by google.bytestream.Write: as a resumable upload whose parts are stored one by one.
import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { setTimeout as sleep } from 'node:timers/promises'
import { StartUploadRequestSchema } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { ModelkeepError, type Reason } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { partLengthOf } from '../../domain/blob.ts'
import { PartBuffer } from '../../domain/part-buffer.ts'
import type { NamedBlob } from '../../domain/resource-name.ts'
import type { Part } from '../../domain/part.ts'
import { findProgress } from '../../store/uploads/upload-progress.ts'
import type { Upload } from '../../store/uploads/upload.ts'
import type { Backend } from '../../deps.ts'
import type { IncomingWrite } from './messages.ts'
import { completeUpload } from '../upload/complete-upload.ts'
import { renewLease } from '../../changes/blob-leases.ts'
import { failSize } from '../streaming/mismatch.ts'
import { requireUpload } from '../upload/require-upload.ts'
import { startUpload } from '../upload/start-upload.ts'
import { storePart } from '../upload/store-part.ts'

/** How often to poll whether another call has completed the upload. */
const POLL_MS = 250

/** Returns the committed size. */
export async function writeParts(
  backend: Backend,
  context: HandlerContext,
  blob: NamedBlob,
  incoming: IncomingWrite,
): Promise<number> {
  const { result } = await startUpload(
    backend,
    create(StartUploadRequestSchema, { ...blob, sizeBytes: BigInt(blob.sizeBytes) }),
    context,
  )
  if (result.case === 'blob') return blob.sizeBytes
  const upload = await requireUpload(backend.database, result.value.id, 'resource_name', context)
  const committed = () => findProgress(forkFor(backend.database), { ...blob, principal: upload.principal })
  const begin = (await committed())?.committedBytes ?? 0
  const isTakenOver = await storeParts(backend, context, upload, readParts(incoming, upload, begin))
  if (!incoming.finished && !isTakenOver) return (await committed())?.committedBytes ?? blob.sizeBytes
  await complete(backend, context, upload)
  return blob.sizeBytes
}

interface NumberedPart {
  number: number
  part: Part
}

/** Splits the bytes after position `begin` into parts. Skips bytes before it, which the client has sent again. */
async function* readParts(incoming: IncomingWrite, upload: Upload, begin: number): AsyncGenerator<NumberedPart> {
  const { sizeBytes, partSizeBytes } = upload
  let position = Number(incoming.offset)
  let number = Math.floor(begin / partSizeBytes) + 1
  let buffer = new PartBuffer()
  for await (const chunk of incoming.chunks) {
    if (position + chunk.length > sizeBytes) failSize(sizeBytes, position + chunk.length, true)
    let rest = chunk.subarray(Math.max(0, begin - position))
    position += chunk.length
    while (rest.length > 0) {
      const wanted = partLengthOf(sizeBytes, partSizeBytes, number)
      const fitting = rest.subarray(0, wanted - buffer.length)
      buffer.append(fitting)
      rest = rest.subarray(fitting.length)
      if (buffer.length < wanted) continue
      yield { number, part: buffer.finish() }
      buffer = new PartBuffer()
      number += 1
    }
  }
  if (incoming.finished && position < sizeBytes) failSize(sizeBytes, position, false)
}

/** Sends each part to the store while the next one is received. Returns true when the rest is not needed, because the blob
 * exists meanwhile, or another call is completing the upload. */
async function storeParts(
  backend: Backend,
  context: HandlerContext,
  upload: Upload,
  parts: AsyncIterable<NumberedPart>,
): Promise<boolean> {
  const release = await backend.budget.acquire(upload.principal, Math.min(upload.sizeBytes, 2 * upload.partSizeBytes))
  let storing: Promise<void> | undefined
  try {
    for await (const { number, part } of parts) {
      await storing
      if (await renewLease(backend, context, upload.namespace, upload.digest)) return true
      storing = storePart(backend, upload, number, part)
      storing.catch(() => undefined)
    }
    await storing
    return false
  } catch (error) {
    if (hasReason(error, 'UPLOAD_CLOSED') && TAKEN_OVER.includes(error.metadata['state']!)) return true
    throw error
  } finally {
    await storing?.catch(() => undefined)
    release()
  }
}

const TAKEN_OVER = ['SEALING', 'COMPLETING', 'VERIFYING', 'COMMITTED']

/** Completes the upload, or waits until another call has completed it. */
async function complete(backend: Backend, context: HandlerContext, upload: Upload): Promise<void> {
  for (;;) {
    try {
      await completeUpload(backend, { $typeName: COMPLETE, uploadId: upload.id }, context)
      return
    } catch (error) {
      if (!hasReason(error, 'UPLOAD_BUSY')) throw error
    }
    await sleep(POLL_MS, undefined, { signal: context.signal })
  }
}

const COMPLETE = 'modelkeep.artifact.v1.CompleteUploadRequest'

function hasReason(error: unknown, reason: Reason): error is ModelkeepError {
  return error instanceof ModelkeepError && error.reason === reason
}
