// google.bytestream.Read: the bytes of DownloadBlob in the messages of another API.
import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { ReadResponseSchema, type ReadRequest, type ReadResponse } from '#gen/google/bytestream/bytestream_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail, failField } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseRange } from '../../domain/range.ts'
import { isEmptyBlob, parseBlobName, type NamedBlob } from '../../domain/resource-name.ts'
import { requireStreamMode } from '../../domain/transfer-modes.ts'
import type { StoredBlob } from '../../store/blobs/blob.ts'
import { findBlob } from '../../store/blobs/find-blob.ts'
import type { Backend } from '../../deps.ts'
import { readVerified } from '../streaming/read-verified.ts'

export async function* read(
  backend: Backend,
  request: ReadRequest,
  context: HandlerContext,
): AsyncGenerator<ReadResponse> {
  requireStreamMode(backend.transferModes)
  const { readOffset: offset, readLimit: length } = request
  const named = parseBlobName(request.resourceName)
  accessOf(context).require(named.namespace)
  const blob = await findNamed(backend, named, context)
  if (length < 0n) failField('read_limit', 'must not be negative')
  if (offset < 0n) failBefore(offset, named.sizeBytes)
  const range = parseRange({ offset, length }, named.sizeBytes)
  if (!blob) return
  await backend.readAudit.recordBlob(context, blob.digest, 'bytestream', range)
  for await (const chunk of readVerified(backend, blob, range, context)) {
    yield create(ReadResponseSchema, { data: chunk.join() })
  }
}

/** The stored blob; undefined for the empty blob, which exists without being stored. */
async function findNamed(backend: Backend, named: NamedBlob, context: HandlerContext): Promise<StoredBlob | undefined> {
  if (isEmptyBlob(named)) return undefined
  const { namespace, digest, sizeBytes } = named
  const blob = await findBlob(forkFor(backend.database, context.signal), namespace, digest)
  if (blob?.sizeBytes === sizeBytes) return blob
  fail('BLOB_NOT_FOUND', `blob ${digest} of ${sizeBytes} bytes not found in namespace "${namespace}"`, { digest })
}

function failBefore(offset: bigint, sizeBytes: number): never {
  fail('RANGE_INVALID', `offset ${offset} is negative`, { offset: String(offset), size: String(sizeBytes) })
}
