import type { EntityManager } from '#lib/store/database.ts'
import { statementTime } from '#lib/store/time.ts'
import { type Promotion, PromotionVote } from '../../store/governance/promotion.ts'

/** Stores a vote on a promotion that the caller has locked. */
export async function addVote(
  em: EntityManager,
  promotion: Promotion,
  vote: { principal: string; approved: boolean; reason: string },
): Promise<void> {
  em.create(PromotionVote, { ...vote, promotion: promotion.id, voteTime: statementTime() })
  em.assign(promotion, { messageBytes: promotion.messageBytes + Buffer.byteLength(vote.reason) })
  await em.flush()
}
