import type { HandlerContext } from '@connectrpc/connect'
import { createHash } from 'node:crypto'
import type { UploadBlobHeader, UploadBlobRequest } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import type { Chunk } from '#lib/byte-streams/chunk.ts'
import { parseDigest } from '#lib/values/ids.ts'
import { parseBlobSize, partSizeOf } from '../../domain/blob.ts'
import { parseNamespace } from '../../domain/namespace.ts'
import { PartBuffer } from '../../domain/part-buffer.ts'
import type { Part } from '../../domain/part.ts'
import { requireStreamMode } from '../../domain/transfer-modes.ts'
import type { Backend } from '../../deps.ts'
import { presentBlob } from '../present.ts'
import { enforceMinRate } from '../streaming/min-rate.ts'
import { failDigest, failKnownSize, failSize } from '../streaming/mismatch.ts'
import { receive } from '../streaming/receive.ts'
import { storeBlob, type AnnouncedBlob } from '../streaming/store-blob.ts'

export async function uploadBlob(
  backend: Backend,
  requests: AsyncIterable<UploadBlobRequest>,
  context: HandlerContext,
) {
  requireStreamMode(backend.transferModes)
  const { header, chunks } = await receive(requests, backend.streamIdleSeconds, context.signal)
  const blob = parseHeader(header, context)
  const parts = splitParts(enforceMinRate(chunks, backend), blob)
  const { blob: stored, existed } = await storeBlob(backend, context, blob, parts)
  if (stored.sizeBytes !== blob.sizeBytes) failKnownSize(blob.sizeBytes, stored.sizeBytes)
  return { blob: presentBlob(stored), existed }
}

function parseHeader(header: UploadBlobHeader, context: HandlerContext): AnnouncedBlob {
  const namespace = parseNamespace(header.namespace, 'header.namespace')
  accessOf(context).require(namespace)
  return {
    namespace,
    digest: parseDigest(header.digest, 'header.digest'),
    sizeBytes: parseBlobSize(header.sizeBytes, 'header.size_bytes'),
  }
}

/** Splits the stream into parts. Yields the last part only if the whole has the announced size and digest. */
async function* splitParts(chunks: AsyncIterable<Chunk>, blob: AnnouncedBlob): AsyncGenerator<Part> {
  const partSize = partSizeOf(blob.sizeBytes)
  const whole = blob.sizeBytes > partSize ? createHash('sha256') : undefined
  let part = new PartBuffer()
  let received = 0
  for await (const chunk of chunks) {
    received += chunk.length
    if (received > blob.sizeBytes) failSize(blob.sizeBytes, received, true)
    if (whole) for (const piece of chunk.pieces) whole.update(piece)
    for (let rest = chunk; rest.length > 0;) {
      if (part.length === partSize) {
        yield part.finish()
        part = new PartBuffer()
      }
      const fitting = rest.subarray(0, partSize - part.length)
      part.append(fitting)
      rest = rest.subarray(fitting.length)
    }
  }
  if (received < blob.sizeBytes) failSize(blob.sizeBytes, received, false)
  const last = part.finish()
  const digest = `sha256:${(whole?.digest() ?? last.sha256).toString('hex')}`
  if (digest !== blob.digest) failDigest(blob.digest, digest)
  yield last
}
