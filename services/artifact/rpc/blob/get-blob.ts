import type { HandlerContext } from '@connectrpc/connect'
import type { GetBlobRequest } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import type { Backend } from '../../deps.ts'
import { presentBlob } from '../present.ts'
import { requireBlobRow } from './require-blob.ts'

export async function getBlob(backend: Backend, request: GetBlobRequest, context: HandlerContext) {
  return { blob: presentBlob(await requireBlobRow(backend, request, context)) }
}
