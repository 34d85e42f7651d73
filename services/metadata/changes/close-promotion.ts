import type { EntityManager } from '#lib/store/database.ts'
import { statementTime } from '#lib/store/time.ts'
import type { PromotionStateName } from '../domain/governance/promotion-state.ts'
import { type Promotion, PromotionVote } from '../store/governance/promotion.ts'

export interface PromotionEnd {
  state: Exclude<PromotionStateName, 'PENDING_APPROVAL'>
  closer: string
  reason: string
}

/** Closes the promotion, and records which of its votes no longer count. The caller has locked it. */
export async function closePromotion(
  em: EntityManager,
  promotion: Promotion,
  { state, closer, reason }: PromotionEnd,
): Promise<void> {
  const { id, votes } = promotion
  const lapsed = votes.filter(({ counts }) => !counts).map(({ principal }) => principal)
  if (lapsed.length > 0) await em.nativeUpdate(PromotionVote, { promotion: id, principal: lapsed }, { counted: false })
  em.assign(promotion, {
    state,
    closer,
    closeReason: reason,
    closeTime: statementTime(),
    messageBytes: promotion.messageBytes + Buffer.byteLength(reason),
  })
  await em.flush()
}
