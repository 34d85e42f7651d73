import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  DownloadBlobResponseSchema,
  type DownloadBlobRequest,
  type DownloadBlobResponse,
} from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { toField } from '#lib/byte-streams/chunk.ts'
import { parseRange } from '../../domain/range.ts'
import { requireStreamMode } from '../../domain/transfer-modes.ts'
import type { Backend } from '../../deps.ts'
import { presentBlob } from '../present.ts'
import { readVerified } from '../streaming/read-verified.ts'
import { requireBlob } from './require-blob.ts'

/** The trailer after a whole blob whose parts were all right: its SHA-256 in hex. */
const WHOLE_TRAILER = 'modelkeep-sha256'

export async function* downloadBlob(
  backend: Backend,
  request: DownloadBlobRequest,
  context: HandlerContext,
): AsyncGenerator<DownloadBlobResponse> {
  requireStreamMode(backend.transferModes)
  const blob = await requireBlob(backend, request, context)
  const range = parseRange(request, blob.sizeBytes)
  await backend.readAudit.recordBlob(context, blob.digest, 'stream', range)
  const length = BigInt(range.end - range.offset)
  const header = { blob: presentBlob(blob), offset: BigInt(range.offset), length }
  yield create(DownloadBlobResponseSchema, { message: { case: 'header', value: header } })
  for await (const chunk of readVerified(backend, blob, range, context)) {
    yield create(DownloadBlobResponseSchema, { message: { case: 'chunk', value: toField(chunk, context) } })
  }
  if (length === BigInt(blob.sizeBytes)) context.responseTrailer.set(WHOLE_TRAILER, blob.digest.slice('sha256:'.length))
}
