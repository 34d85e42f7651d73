// Decisions of gates about a candidate.
import { create } from '@bufbuild/protobuf'
import {
  ConditionOutcome,
  GateDecisionSchema,
  type ConditionResult,
  type GateDecision,
  type GateRules,
} from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { ModelkeepError } from '#lib/errors/errors.ts'
import { wordOf } from '#lib/values/words.ts'
import type { Outcome } from '../domain/governance/condition.ts'
import { rulesOf } from '../domain/governance/gate-rules.ts'
import type { Gate } from '../store/governance/gate.ts'

/** Returns the expressions of the gates, in order. */
export function expressionsOf(rules: GateRules[]): string[] {
  return rules.flatMap(({ conditions }) => conditions.map(({ expression }) => expression))
}

/** `outcomes` are those of all conditions of the gates, in order. */
export function decideGates(gates: Gate[], outcomes: Outcome[]): GateDecision[] {
  const remaining = [...outcomes]
  return gates.map((gate) => {
    const rules = rulesOf(gate)
    const decision = decideRules(rules, remaining.splice(0, rules.conditions.length))
    return { ...decision, gateId: gate.id, gate: gate.name, revision: gate.revision }
  })
}

/** Decides by rules that need not belong to a gate yet. */
export function decideRules(
  { conditions, approvalsRequired, approvers }: GateRules,
  outcomes: Outcome[],
): GateDecision {
  const results = conditions.map(({ expression, sentence }, index) => {
    const { outcome, error } = outcomes[index]!
    return { expression, sentence, outcome: ConditionOutcome[outcome], error }
  })
  return create(GateDecisionSchema, { conditions: results, approvalsRequired, approvers })
}

export function areConditionsMet({ conditions }: Pick<GateDecision, 'conditions'>): boolean {
  return conditions.every(({ outcome }) => outcome === ConditionOutcome.TRUE)
}

/** Throws GATE_UNMET, with every condition that does not hold. */
export function requireGatesMet(alias: string, decisions: GateDecision[]): void {
  const preconditions = decisions.flatMap(({ gate, conditions }) =>
    conditions
      .filter(({ outcome }) => outcome !== ConditionOutcome.TRUE)
      .map((result) => ({ type: gate, subject: result.expression, description: describe(result) })),
  )
  if (preconditions.length === 0) return
  const unmet = String(preconditions.length)
  const message = `alias "${alias}" has ${unmet} unmet gate conditions: ${preconditions[0]!.description}`
  throw new ModelkeepError('GATE_UNMET', message, { alias, unmet }, [], { preconditions })
}

function describe({ sentence, error }: ConditionResult): string {
  return error === '' ? sentence : `${sentence} (${error})`
}

/** Outcomes as events contain them: the conditions of each gate, in the order of its rules. */
export function outcomesOf(decisions: GateDecision[]) {
  return decisions.map(({ gateId, revision, conditions }) => ({
    id: gateId,
    revision,
    conditions: conditions.map(({ outcome }) => wordOf(ConditionOutcome, outcome)),
  }))
}
