import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  DeleteGateRequestSchema,
  DeleteGateResponseSchema,
  type DeleteGateRequest,
} from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseReason } from '../../domain/text.ts'
import * as gates from '../../store/governance/gate-rows.ts'
import { requireEtag } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { recordChange } from '../../changes/gate-changes.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { requireGateLock } from '../../changes/gate-changes.ts'
import { authorizeGate } from './authorize-gate.ts'

export async function deleteGate(deps: RegistryDeps, request: DeleteGateRequest, context: HandlerContext) {
  const { namespace, name } = authorizeGate(request, context)
  const reason = parseReason(request.reason)
  const once = { context, request, input: DeleteGateRequestSchema, output: DeleteGateResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const before = await requireGateLock(em, namespace, name)
    requireEtag(before, request.etag)
    await gates.removeGate(em, before.id)
    const gate = { ...before, revision: before.revision + 1 }
    await recordChange(em, context, { gate, before: before.rules, after: undefined, reason })
    return create(DeleteGateResponseSchema)
  })
  await settleChange(deps.relay, context)
  return answer
}
