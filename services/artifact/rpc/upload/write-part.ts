import type { HandlerContext } from '@connectrpc/connect'
import { createHash } from 'node:crypto'
import type { WritePartHeader, WritePartRequest } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { giveBack } from '#lib/byte-streams/blocks.ts'
import { failField } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { partCountOf, partLengthOf } from '../../domain/blob.ts'
import { requireStreamLane } from '../../domain/lanes.ts'
import { ComingPart } from '../../domain/coming-part.ts'
import { isByteStoreProblem, storeUnavailable, type Bytes } from '../../store/byte-store.ts'
import { requireStore } from '../../store/installation.ts'
import { countAttempt, discountAttempt, recordPart } from '../../store/uploads/upload-part.ts'
import { closeUpload } from '../../store/uploads/upload-state.ts'
import { Upload } from '../../store/uploads/upload.ts'
import type { Backend } from '../../deps.ts'
import { keepBlob } from '../../changes/keep-blobs.ts'
import { keepPace } from '../streaming/pace.ts'
import { receive } from '../streaming/receive.ts'
import { failClosed, failPartDigest, failPartSize, failUnknown } from './upload-faults.ts'
import { FORGOTTEN, requireUpload } from './uploads.ts'

export async function writePart(backend: Backend, requests: AsyncIterable<WritePartRequest>, context: HandlerContext) {
  requireStreamLane(backend.lanes)
  const { header, chunks } = await receive(requests, backend.streamIdleSeconds, context.signal)
  const upload = await requireUpload(backend.database, header.uploadId, 'header.upload_id', context)
  checkHeader(header, upload)
  if (upload.state !== 'OPEN' || upload.storeUploadId === null) failClosed(upload)
  const blob = await keepBlob(backend, context, upload.namespace, upload.digest)
  if (blob) return { existed: true }
  const { number } = header
  const length = partLengthOf(upload.sizeBytes, upload.partSizeBytes, number)
  const giveBack = await backend.budget.take(upload.principal, length)
  try {
    const part = new ComingPart(length, header.sha256)
    const reading = readPart(keepPace(chunks, backend), number, part)
    // Whichever fails first ends both, and is told.
    reading.catch((error: unknown) => part.giveUp(error))
    await keepPart(backend, upload, number, part).catch((error: unknown) => part.giveUp(error))
    part.requireKept()
    await reading
    return { part: { number, sizeBytes: BigInt(length), sha256: part.sha256 } }
  } finally {
    giveBack()
  }
}

function checkHeader({ number, sha256 }: WritePartHeader, { sizeBytes, partSizeBytes }: Upload): void {
  const count = partCountOf(sizeBytes, partSizeBytes)
  if (number < 1 || number > count) failField('header.number', `must be 1 to ${count}`)
  if (sha256.length !== 32) failField('header.sha256', 'must have 32 bytes')
}

async function readPart(chunks: AsyncIterable<Uint8Array>, number: number, part: ComingPart): Promise<void> {
  for await (const chunk of chunks) {
    const received = part.received + chunk.length
    if (received > part.length) failPartSize(number, part.length, received)
    part.add(chunk)
  }
  if (!part.isWhole) failPartSize(number, part.length, part.received)
}

/** To the store and into the record; and, where parts come about in order, into the digest of the whole. Throws
 * UPLOAD_CLOSED where the upload takes no parts any more. */
export async function keepPart(backend: Backend, upload: Upload, number: number, part: Bytes): Promise<void> {
  const { database, digests, uploadExpireSeconds } = backend
  if (!(await countAttempt(forkFor(database), upload.id))) await failClosedNow(backend, upload.id)
  const isWhole = partCountOf(upload.sizeBytes, upload.partSizeBytes) === 1
  const release = isWhole ? undefined : digests.of(upload.id).offer(number, part)
  let isStored = false
  try {
    const etag = await storePart(backend, upload, number, part)
    isStored = true
    const { length: sizeBytes, sha256 } = part
    const kept = await recordPart(
      forkFor(database),
      upload.id,
      { number, sizeBytes, sha256, etag },
      uploadExpireSeconds,
    )
    if (!kept) await failClosedNow(backend, upload.id)
  } catch (error) {
    if (isStored || !isIncomplete(part)) throw error
    // The store does not take what did not come to its end.
    await discountAttempt(forkFor(database), upload.id)
    throw error
  } finally {
    await release?.(isStored)
    // What failed may still be on its way.
    if (isStored) part.chunks.forEach(giveBack)
  }
}

async function storePart(backend: Backend, upload: Upload, number: number, part: Bytes): Promise<string> {
  const { objectKey: key, partSizeBytes, storeUploadId } = upload
  try {
    const offset = (number - 1) * partSizeBytes
    return await backend.bytes.putPart({ ...part, key, uploadId: storeUploadId!, number, offset })
  } catch (error) {
    if (isByteStoreProblem(error, 'digest differs')) return failDiffering(backend, upload.id, number, part, error)
    if (!isByteStoreProblem(error, 'upload gone')) throw error
    await requireStore(backend)
    // Completed or swept by another call; or forgotten by the store, as S3 servers do with what is unfinished for long.
    await closeUpload(forkFor(backend.database), upload.id, { ...FORGOTTEN, epoch: upload.epoch })
    return failClosedNow(backend, upload.id)
  }
}

/** The store has refused what was sent. */
async function failDiffering(
  { database, digests }: Backend,
  id: string,
  number: number,
  part: Bytes,
  error: unknown,
): Promise<never> {
  await discountAttempt(forkFor(database), id)
  const hash = createHash('sha256')
  for (const chunk of part.chunks) hash.update(chunk)
  const [expected, actual] = [part.sha256.toString('hex'), hash.digest('hex')]
  if (expected === actual) throw storeUnavailable(error)
  // These bytes may have been taken into it.
  digests.forget(id)
  failPartDigest(number, `sha256:${expected}`, `sha256:${actual}`)
}

function isIncomplete({ chunks, length }: Bytes): boolean {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0) < length
}

async function failClosedNow({ database }: Backend, id: string): Promise<never> {
  const upload = await forkFor(database).findOne(Upload, { id })
  failClosed(upload ?? failUnknown(id))
}
