import type { HandlerContext } from '@connectrpc/connect'
import type { TestGateRequest } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseRules, rulesOf } from '../../domain/governance/gate-rules.ts'
import { parseAliasName } from '../../domain/names.ts'
import { parseVersionRef } from '../../domain/refs.ts'
import { findGuardingGates } from '../../store/governance/find-gates.ts'
import { findModel } from '../../store/models/find-model.ts'
import type { RegistryDeps } from '../../deps.ts'
import { areConditionsMet, decideGates, decideRules, expressionsOf } from '../../changes/gate-decisions.ts'
import { findEvidence } from '../../changes/gate-evidence.ts'
import { requireVersion } from '../../changes/require-version.ts'

export async function testGate(
  { database, evaluator }: RegistryDeps,
  request: TestGateRequest,
  context: HandlerContext,
) {
  const key = parseVersionRef(request.version, 'version')
  const alias = parseAliasName(request.alias, 'alias')
  const rules = request.rules && parseRules(request.rules)
  const em = forkFor(database, context.signal)
  const version = await requireVersion(em, context, key)
  const model = (await findModel(em, { id: version.model }))!
  const requester = accessOf(context).caller.principal
  const { variables } = await findEvidence(em, { version, model, alias, requester })
  const { namespace, id: modelId } = model
  const gates = rules ? [] : await findGuardingGates(em, { namespace, modelId, alias })
  const expressions = expressionsOf(rules ? [rules] : gates.map(rulesOf))
  const outcomes = await evaluator.evaluate(requester, { expressions, variables }, context.signal)
  const decisions = rules ? [decideRules(rules, outcomes)] : decideGates(gates, outcomes)
  return { decisions, passed: decisions.every(areConditionsMet) }
}
