// The commands promotion list and show.
import { PromotionSchema, PromotionState, type Promotion, type Vote } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import type { GateDecision } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { PromotionService } from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { failUsage } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { facts, jsonOf, table, time } from '../../terminal/output.ts'
import { readLimit, takePages, printMoreHint, type LimitOptions } from '../../terminal/pages.ts'
import { parseModelRef } from '../../arguments/refs.ts'
import { requireNamespace, unary } from '../../connection/registry.ts'
import { gatesWithApprovals, countsFor, decisionText } from './decisions.ts'
import { aliasOf, approvalsOf, moveOf, stateOf } from './promotion-text.ts'

const STATES: Record<string, PromotionState> = {
  pending: PromotionState.PENDING_APPROVAL,
  applied: PromotionState.APPLIED,
  rejected: PromotionState.REJECTED,
  expired: PromotionState.EXPIRED,
  withdrawn: PromotionState.WITHDRAWN,
  voided: PromotionState.VOIDED,
}

export async function listPromotions(
  context: Context,
  { model, state, ...limit }: LimitOptions & { model?: string; state?: string },
): Promise<void> {
  const { output, namespace } = context
  const registry = context.registry()
  const where = model === undefined ? { namespace } : { model: parseModelRef(model, namespace) }
  const question = { ...where, state: parseState(state) }
  const { items, hasMore } = await takePages(readLimit(limit), async (page) => {
    const answer = await registry.metadata(PromotionService).listPromotions({ ...question, ...page }, unary(registry))
    return { items: answer.promotions, nextPageToken: answer.nextPageToken }
  })
  if (items.length === 0 && model === undefined) await requireNamespace(registry, namespace)
  if (output.json) return output.document({ promotions: items.map((item) => jsonOf(PromotionSchema, item)), hasMore })
  output.write(items.length > 0 ? table(HEAD, items.map(promotionRow)) : 'no promotions')
  printMoreHint(context, hasMore)
}

const HEAD = ['ID', 'ALIAS', 'MOVE', 'STATE', 'APPROVALS', 'REQUESTED', 'UNTIL', 'BY', 'WHY']

function promotionRow(promotion: Promotion): string[] {
  const { id, requestTime, requester, reason } = promotion
  const what = [id, aliasOf(promotion), moveOf(promotion), stateOf(promotion), approvalsOf(promotion)]
  return [...what, time(requestTime), untilOf(promotion), requester, reason]
}

function untilOf({ state, expireTime }: Promotion): string {
  return state === PromotionState.PENDING_APPROVAL ? time(expireTime) : ''
}

function parseState(text: string | undefined): PromotionState {
  if (text === undefined) return PromotionState.UNSPECIFIED
  const name = text.toLowerCase()
  const state = Object.hasOwn(STATES, name) ? STATES[name] : undefined
  if (state === undefined) failUsage(`--state "${text}" is unknown; use ${Object.keys(STATES).join(', ')}`)
  return state
}

export async function showPromotion(context: Context, id: string): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const { promotion } = await registry.metadata(PromotionService).getPromotion({ id }, unary(registry))
  if (output.json) return output.document(jsonOf(PromotionSchema, promotion!))
  output.write(facts(promotionRows(promotion!)))
  const { decisions, votes } = promotion!
  if (decisions.length > 0)
    output.write(`\n${conditionsHeading(promotion!)}\n${decisions.map(decisionText).join('\n')}`)
  if (votes.length > 0) output.write(`\n${votesText(promotion!)}`)
}

/** States when the conditions had these results. */
function conditionsHeading({ state, requestTime, closeTime }: Promotion): string {
  if (state === PromotionState.APPLIED) return `conditions when the promotion was applied, ${time(closeTime)}`
  return `conditions when the promotion was requested, ${time(requestTime)}`
}

function promotionRows(promotion: Promotion): [string, string][] {
  const { closer, closeReason, closeTime } = promotion
  return [
    ['promotion', promotion.id],
    ['alias', aliasOf(promotion)],
    ['move', moveOf(promotion)],
    ['digest', promotion.digest],
    ['from', promotion.fromDigest],
    ['state', stateOf(promotion)],
    ['requested', `${time(promotion.requestTime)} by ${promotion.requester}`],
    ['why', promotion.reason],
    ['until', untilOf(promotion)],
    ['ended', closer ? `${time(closeTime)} by ${closer}${closeReason && `: ${closeReason}`}` : ''],
  ]
}

/** Lists the gates that each vote counts for, unless every approval counts for every gate. */
function votesText({ votes, decisions }: Promotion): string {
  const approvals = votes.filter(({ approved }) => approved)
  const isPlain = gatesWithApprovals(decisions).every(({ approvalsGiven }) => approvalsGiven === approvals.length)
  if (isPlain) return table(['WHEN', 'WHO', 'SAID', 'WHY'], votes.map(voteRow))
  const rows = votes.map((vote) => voteRow(vote).toSpliced(3, 0, countsText(vote, decisions)))
  return table(['WHEN', 'WHO', 'SAID', 'COUNTS FOR', 'WHY'], rows)
}

function countsText(vote: Vote, decisions: GateDecision[]): string {
  if (vote.approved && !vote.counts) return 'none: no longer an approver'
  return countsFor(vote, decisions).join(', ')
}

function voteRow({ voteTime, principal, approved, reason }: Vote): string[] {
  return [time(voteTime), principal, approved ? 'yes' : 'no', reason]
}
