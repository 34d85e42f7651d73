import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  DeleteGateRequestSchema,
  DeleteGateResponseSchema,
  type DeleteGateRequest,
} from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseReason } from '../../domain/text.ts'
import { requireEtag } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { removeGate, requireGateLock } from '../../changes/gate-changes.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { authorizeGate } from './authorize-gate.ts'

export async function deleteGate(deps: RegistryDeps, request: DeleteGateRequest, context: HandlerContext) {
  const { namespace, name } = authorizeGate(request, context)
  const reason = parseReason(request.reason)
  const once = { context, request, input: DeleteGateRequestSchema, output: DeleteGateResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const gate = await requireGateLock(em, namespace, name)
    requireEtag(gate, request.etag)
    await removeGate(em, context, gate, reason)
    return create(DeleteGateResponseSchema)
  })
  await settleChange(deps.relay, context)
  return answer
}
