// google.bytestream.Write. A blob of one part is stored at the end of its stream. A larger blob becomes a resumable upload
// of the caller: every part that was received completely is stored, and a later stream can continue after it.
import type { HandlerContext } from '@connectrpc/connect'
import type { WriteRequest } from '#gen/google/bytestream/bytestream_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { failField } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { partSizeOf } from '../../domain/blob.ts'
import { PartBuffer } from '../../domain/part-buffer.ts'
import { parseUploadName, type NamedBlob } from '../../domain/resource-name.ts'
import { requireStreamMode } from '../../domain/transfer-modes.ts'
import type { Part } from '../../domain/part.ts'
import { findProgress } from '../../store/uploads/upload-progress.ts'
import type { Backend } from '../../deps.ts'
import { receiveWrite, type IncomingWrite } from './messages.ts'
import { writeParts } from './parts.ts'
import { renewLease } from '../../changes/blob-leases.ts'
import { enforceMinRate } from '../streaming/min-rate.ts'
import { failDigest, failKnownSize, failSize } from '../streaming/mismatch.ts'
import { storeBlob } from '../streaming/store-blob.ts'

export async function write(backend: Backend, requests: AsyncIterable<WriteRequest>, context: HandlerContext) {
  requireStreamMode(backend.transferModes)
  const incoming = await receiveWrite(requests, backend.streamIdleSeconds, context.signal)
  const blob = parseUploadName(incoming.resourceName)
  accessOf(context).require(blob.namespace)
  if (await isStored(backend, blob, context)) return { committedSize: BigInt(blob.sizeBytes) }
  await checkOffset(backend, blob, incoming.offset, context)
  incoming.chunks = enforceMinRate(incoming.chunks, backend)
  const isSmall = blob.sizeBytes <= partSizeOf(blob.sizeBytes)
  const committed = await (isSmall ? writeWhole : writeParts)(backend, context, blob, incoming)
  return { committedSize: BigInt(committed) }
}

/** Whether the namespace has the blob. Throws SIZE_MISMATCH if it has another size than announced. */
export async function isStored(backend: Backend, blob: NamedBlob, context: HandlerContext): Promise<boolean> {
  const known = await renewLease(backend, context, blob.namespace, blob.digest)
  if (known && known.sizeBytes !== blob.sizeBytes) failKnownSize(blob.sizeBytes, known.sizeBytes)
  return known !== undefined
}

/** The offset may be anywhere before the committed size, so that a client can start over without a request for it. */
async function checkOffset(backend: Backend, blob: NamedBlob, offset: bigint, context: HandlerContext): Promise<void> {
  if (offset === 0n) return
  const { principal } = accessOf(context).caller
  const progress = await findProgress(forkFor(backend.database, context.signal), { ...blob, principal })
  const committed = progress?.committedBytes ?? 0
  if (offset > BigInt(committed)) failField('write_offset', `must be at most ${committed}, the committed size`)
}

async function writeWhole(
  backend: Backend,
  context: HandlerContext,
  blob: NamedBlob,
  incoming: IncomingWrite,
): Promise<number> {
  try {
    await storeBlob(backend, context, blob, readWhole(incoming, blob))
    return blob.sizeBytes
  } catch (error) {
    if (error instanceof Unfinished) return 0
    throw error
  }
}

/** The client ended the stream without `finish_write`. */
class Unfinished extends Error {}

async function* readWhole(incoming: IncomingWrite, { digest, sizeBytes }: NamedBlob): AsyncGenerator<Part> {
  const buffer = new PartBuffer()
  for await (const chunk of incoming.chunks) {
    if (buffer.length + chunk.length > sizeBytes) failSize(sizeBytes, buffer.length + chunk.length, true)
    buffer.append(chunk)
  }
  if (!incoming.finished) throw new Unfinished()
  if (buffer.length < sizeBytes) failSize(sizeBytes, buffer.length, false)
  const whole = buffer.finish()
  const actual = `sha256:${whole.sha256.toString('hex')}`
  if (actual !== digest) failDigest(digest, actual)
  yield whole
}
