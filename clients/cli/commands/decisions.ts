// What gates say of a candidate, as text.
import { ConditionOutcome, type ConditionResult, type GateDecision } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import type { Vote } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import { clean } from '../output.ts'

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

/** Whose approvals count for a gate, where not all of them do. */
export function countedText({ gate, approvers, approvalsGiven, approvalsRequired }: GateDecision, votes: Vote[]) {
  const approved = votes.filter((vote) => vote.approved).map(({ principal }) => principal)
  if (approvalsRequired === 0 || approved.length === approvalsGiven) return []
  const asked = approved.filter((principal) => approvers.length === 0 || approvers.includes(principal))
  const names = asked.map(clean).join(', ')
  if (approvalsGiven === 0) return [`for ${gate} nobody's approval counts: ${whyNot(asked)}`]
  if (approvalsGiven === asked.length) return [`for ${gate} counts: ${names}`]
  return [`for ${gate} count ${approvalsGiven} of ${names}: ${whyNot(asked)}`]
}

function whyNot(asked: string[]): string {
  return asked.length === 0 ? 'it asks others' : 'an approval counts while its principal may approve'
}

/** How many conditions do not hold. */
export function countUnmet(decisions: GateDecision[]): number {
  const results = decisions.flatMap(({ conditions }) => conditions)
  return results.filter(({ outcome }) => outcome !== ConditionOutcome.TRUE).length
}
