// Formats the decisions of gates.
import { ConditionOutcome, type ConditionResult, type GateDecision } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import type { Vote } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import { clean } from '../../terminal/output.ts'

const SIGNS: Record<ConditionOutcome, string> = {
  [ConditionOutcome.UNSPECIFIED]: '?',
  [ConditionOutcome.TRUE]: '✓',
  [ConditionOutcome.FALSE]: '✗',
  [ConditionOutcome.ERROR]: '✗',
}

export function decisionText({ gate, revision, conditions, ...decision }: GateDecision): string {
  const name = gate === '' ? 'these rules' : `${gate} (revision ${revision})`
  return [name, ...conditions.map(resultText), ...approvalText(decision)].join('\n')
}

function resultText({ outcome, sentence, expression, error }: ConditionResult): string {
  const why = outcome === ConditionOutcome.TRUE ? '' : `: ${clean(expression)}${error && ` – ${clean(error)}`}`
  return `  ${SIGNS[outcome]} ${clean(sentence)}${why}`
}

function approvalText(decision: Pick<GateDecision, 'approvalsRequired' | 'approvalsGiven' | 'approvers'>): string[] {
  const { approvalsRequired, approvalsGiven, approvers } = decision
  if (approvalsRequired === 0) return []
  const sign = approvalsGiven >= approvalsRequired ? '✓' : '…'
  const whose = approvers.length > 0 ? ` of ${approvers.map(clean).join(', ')}` : ''
  return [`  ${sign} ${approvalsGiven} of ${approvalsRequired} approvals${whose}`]
}

/** Returns the decisions of gates that require approvals. */
export function gatesWithApprovals(decisions: GateDecision[]): GateDecision[] {
  return decisions.filter(({ approvalsRequired }) => approvalsRequired > 0)
}

/** Returns the names of the gates that a vote counts for. */
export function countsFor({ principal, approved, counts }: Vote, decisions: GateDecision[]): string[] {
  if (!approved || !counts) return []
  const asking = gatesWithApprovals(decisions).filter(
    ({ approvers }) => approvers.length === 0 || approvers.includes(principal),
  )
  return asking.map(({ gate }) => gate)
}

/** Counts the conditions that are not met. */
export function countUnmet(decisions: GateDecision[]): number {
  const results = decisions.flatMap(({ conditions }) => conditions)
  return results.filter(({ outcome }) => outcome !== ConditionOutcome.TRUE).length
}
