import type { HandlerContext } from '@connectrpc/connect'
import type { GetDownloadPlanRequest } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import type { Backend } from '../../deps.ts'
import { requireBlob } from '../blob/require-blob.ts'
import { presentBlob } from '../present.ts'
import { presentSigned, requirePresigner } from './direct-parts.ts'

export async function getDownloadPlan(backend: Backend, request: GetDownloadPlanRequest, context: HandlerContext) {
  const blob = await requireBlob(backend, request, context)
  const presigner = requirePresigner(backend)
  await backend.readAudit.recordBlob(context, blob.digest, 'direct', { offset: 0, end: blob.sizeBytes })
  return {
    blob: presentBlob(blob),
    ...(blob.sizeBytes > 0 && { request: presentSigned(presigner.get(blob.objectKey)) }),
  }
}
