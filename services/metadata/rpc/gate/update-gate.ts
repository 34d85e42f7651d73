import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  UpdateGateRequestSchema,
  UpdateGateResponseSchema,
  type UpdateGateRequest,
} from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseRules } from '../../domain/governance/gate-rules.ts'
import { parseReason } from '../../domain/text.ts'
import * as gates from '../../store/governance/gate-rows.ts'
import { requireEtag } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { recordChange } from '../../changes/gate-changes.ts'
import { presentGate } from './present-gate.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { requireGateLock } from '../../changes/gate-changes.ts'
import { authorizeGate } from './authorize-gate.ts'

export async function updateGate(deps: RegistryDeps, request: UpdateGateRequest, context: HandlerContext) {
  const { namespace, name } = authorizeGate(request, context)
  const rules = parseRules(request.rules)
  const reason = parseReason(request.reason)
  const once = { context, request, input: UpdateGateRequestSchema, output: UpdateGateResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const before = await requireGateLock(em, namespace, name)
    requireEtag(before, request.etag)
    await gates.updateGate(em, before.id, rules)
    const gate = (await gates.findGate(em, namespace, name))!
    await recordChange(em, context, { gate, before: before.rules, after: rules, reason })
    return create(UpdateGateResponseSchema, { gate: presentGate(gate) })
  })
  await settleChange(deps.relay, context)
  return answer
}
