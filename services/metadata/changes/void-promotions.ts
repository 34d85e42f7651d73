// Voids pending promotions whose alias, gates, version or model have changed.
import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { lockPending, type PromotionFilter } from '../store/governance/find-promotions.ts'
import { closePromotion } from './close-promotion.ts'
import { promotionEvent } from './promotion-event.ts'

const CAUSES = {
  ALIAS_MOVED: 'the alias was moved',
  GATE_CHANGED: 'a gate was created, updated or deleted',
  VERSION_DELETED: 'the version was deleted',
  MODEL_DELETED: 'the model was deleted',
}

interface Cause {
  because: keyof typeof CAUSES
  /** Whether promotions to the alias are voided. Default: all. */
  affects?: (alias: string) => boolean
  /** The id of a promotion that stays open. */
  except?: string | undefined
}

/** Voids the pending promotions that a change made obsolete. */
export async function voidPromotions(
  em: EntityManager,
  context: HandlerContext,
  filter: PromotionFilter,
  { because, affects = () => true, except }: Cause,
): Promise<void> {
  const closer = accessOf(context).caller.principal
  for (const promotion of await lockPending(em, filter)) {
    // The expiry job closes an overdue promotion as EXPIRED.
    if (promotion.overdue || promotion.id === except || !affects(promotion.alias)) continue
    await closePromotion(em, promotion, { state: 'VOIDED', closer, reason: CAUSES[because] })
    emit(em, context, promotionEvent(promotion, { type: 'promotion.voided.v1', details: { because } }))
  }
}
