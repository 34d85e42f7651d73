import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  DownloadBlobResponseSchema,
  type DownloadBlobRequest,
  type DownloadBlobResponse,
} from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { toField, type Chunk } from '#lib/byte-streams/chunk.ts'
import { requireStreamLane } from '../../domain/lanes.ts'
import { parseRange, type Range } from '../../domain/range.ts'
import { enclosingParts, verifyParts } from '../../domain/verified-parts.ts'
import type { StoredBlob } from '../../store/blobs/blob.ts'
import { isByteStoreProblem } from '../../store/byte-store.ts'
import { requireStore } from '../../store/installation.ts'
import type { Backend } from '../../deps.ts'
import { requireBlob } from './blobs.ts'
import { holdForReader } from '../streaming/pace.ts'
import { presentBlob } from '../present.ts'
import { suspectBytes } from '../maintenance/verify-blob.ts'

/** The digest, in hex, after a whole blob whose every part has proved right. */
const WHOLE_TRAILER = 'modelkeep-sha256'

export async function* downloadBlob(
  backend: Backend,
  request: DownloadBlobRequest,
  context: HandlerContext,
): AsyncGenerator<DownloadBlobResponse> {
  requireStreamLane(backend.lanes)
  const blob = await requireBlob(backend, request, context)
  const range = parseRange(request, blob.sizeBytes)
  await backend.reads.blob(context, blob.digest, 'stream', range)
  const length = BigInt(range.end - range.offset)
  const header = { blob: presentBlob(blob), offset: BigInt(range.offset), length }
  yield create(DownloadBlobResponseSchema, { message: { case: 'header', value: header } })
  for await (const chunk of readVerified(backend, blob, range, context)) {
    yield create(DownloadBlobResponseSchema, { message: { case: 'chunk', value: toField(chunk, context) } })
  }
  if (length === BigInt(blob.sizeBytes)) context.responseTrailer.set(WHOLE_TRAILER, blob.digest.slice('sha256:'.length))
}

/** The bytes of a range, in messages of a good size, each in pieces. Throws BLOB_CORRUPT before the last message of a bad
 * part. */
export async function* readVerified(
  backend: Backend,
  blob: StoredBlob,
  range: Range,
  context: HandlerContext,
): AsyncGenerator<Chunk> {
  const length = range.end - range.offset
  if (length === 0) return
  const enclosing = enclosingParts(range, blob)
  const reader = { ...backend, who: accessOf(context).caller.principal, length, signal: context.signal }
  yield* holdForReader(reader, (signal) => {
    const source = readObject(backend, blob, enclosing.offset, enclosing.end - enclosing.offset, signal)
    return verifyParts(source, range, blob, (part) => failCorrupt(backend, blob, part))
  })
}

async function* readObject(
  backend: Backend,
  blob: StoredBlob,
  offset: number,
  length: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    yield* backend.bytes.read(blob.objectKey, offset, length, signal)
  } catch (error) {
    if (!isByteStoreProblem(error, 'object gone')) throw error
    await requireStore(backend)
    failCorrupt(backend, blob, 1)
  }
}

function failCorrupt(backend: Backend, { digest, objectKey }: StoredBlob, part: number): never {
  suspectBytes(backend, { digest, objectKey })
  backend.logger.error({ digest, objectKey, part }, 'the bytes of a blob are corrupt')
  const message = `part ${part} of blob ${digest} no longer matches what was stored; it is not served`
  fail('BLOB_CORRUPT', message, { digest, part: String(part) })
}
