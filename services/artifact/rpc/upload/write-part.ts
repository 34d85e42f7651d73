import type { HandlerContext } from '@connectrpc/connect'
import type { WritePartHeader, WritePartRequest } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import type { Chunk } from '#lib/byte-streams/chunk.ts'
import { failField } from '#lib/errors/errors.ts'
import { partCountOf, partLengthOf } from '../../domain/blob.ts'
import { Part } from '../../domain/part.ts'
import { requireStreamMode } from '../../domain/transfer-modes.ts'
import type { Upload } from '../../store/uploads/upload.ts'
import type { Backend } from '../../deps.ts'
import { renewLease } from '../../changes/blob-leases.ts'
import { enforceMinRate } from '../streaming/min-rate.ts'
import { receive } from '../streaming/receive.ts'
import { requireUpload } from './require-upload.ts'
import { storePart } from './store-part.ts'
import { failClosed, failPartSize } from './upload-errors.ts'

export async function writePart(backend: Backend, requests: AsyncIterable<WritePartRequest>, context: HandlerContext) {
  requireStreamMode(backend.transferModes)
  const { header, chunks } = await receive(requests, backend.streamIdleSeconds, context.signal)
  const upload = await requireUpload(backend.database, header.uploadId, 'header.upload_id', context)
  checkHeader(header, upload)
  if (upload.state !== 'OPEN' || upload.storeUploadId === null) failClosed(upload)
  const blob = await renewLease(backend, context, upload.namespace, upload.digest)
  if (blob) return { existed: true }
  const { number } = header
  const length = partLengthOf(upload.sizeBytes, upload.partSizeBytes, number)
  const release = await backend.budget.acquire(upload.principal, length)
  try {
    const part = new Part(length, header.sha256)
    await transfer(part, number, enforceMinRate(chunks, backend), () => storePart(backend, upload, number, part))
    return { part: { number, sizeBytes: BigInt(length), sha256: part.sha256 } }
  } finally {
    release()
  }
}

function checkHeader({ number, sha256 }: WritePartHeader, { sizeBytes, partSizeBytes }: Upload): void {
  const count = partCountOf(sizeBytes, partSizeBytes)
  if (number < 1 || number > count) failField('header.number', `must be 1 to ${count}`)
  if (sha256.length !== 32) failField('header.sha256', 'must have 32 bytes')
}

/** Receives the part and stores it at the same time. The first of the two that fails aborts the other, and its error is
 * thrown. */
async function transfer(
  part: Part,
  number: number,
  chunks: AsyncIterable<Chunk>,
  store: () => Promise<void>,
): Promise<void> {
  const receiving = receivePart(chunks, number, part)
  receiving.catch((error: unknown) => part.abort(error))
  try {
    await store()
  } catch (error) {
    part.abort(error)
    part.throwIfAborted()
  }
  await receiving
}

async function receivePart(chunks: AsyncIterable<Chunk>, number: number, part: Part): Promise<void> {
  for await (const chunk of chunks) {
    const received = part.received + chunk.length
    if (received > part.length) failPartSize(number, part.length, received)
    part.append(chunk)
  }
  if (!part.isComplete) failPartSize(number, part.length, part.received)
}
