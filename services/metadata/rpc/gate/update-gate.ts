import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  UpdateGateRequestSchema,
  UpdateGateResponseSchema,
  type UpdateGateRequest,
} from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { transactionTime } from '#lib/store/time.ts'
import { parseRules, rulesBytes, rulesOf, rulesToJson } from '../../domain/governance/gate-rules.ts'
import { parseReason } from '../../domain/text.ts'
import { reloadGate } from '../../store/governance/find-gates.ts'
import { requireEtag } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { recordChange, requireGateLock } from '../../changes/gate-changes.ts'
import { presentGate } from './present-gate.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { authorizeGate } from './authorize-gate.ts'

export async function updateGate(deps: RegistryDeps, request: UpdateGateRequest, context: HandlerContext) {
  const { namespace, name } = authorizeGate(request, context)
  const rules = parseRules(request.rules)
  const reason = parseReason(request.reason)
  const once = { context, request, input: UpdateGateRequestSchema, output: UpdateGateResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const gate = await requireGateLock(em, namespace, name)
    requireEtag(gate, request.etag)
    const before = rulesOf(gate)
    em.assign(gate, { rules: rulesToJson(rules), messageBytes: rulesBytes(rules), updateTime: transactionTime() })
    await em.flush()
    await reloadGate(em, gate)
    await recordChange(em, context, { gate, revision: gate.revision, before, after: rules, reason })
    return create(UpdateGateResponseSchema, { gate: presentGate(gate) })
  })
  await settleChange(deps.relay, context)
  return answer
}
