import type { EventInit } from '#lib/store/outbox.ts'
import type { Promotion } from '../store/governance/promotion.ts'
import { promotionResource } from './resources.ts'

/** Builds an event of a promotion, with the details that all of its events have. */
export function promotionEvent(promotion: Promotion, event: Pick<EventInit, 'type' | 'reason' | 'details'>): EventInit {
  const { modelId, alias, number } = promotion
  return {
    ...event,
    resource: promotionResource(promotion),
    beforeDigest: promotion.fromDigest,
    afterDigest: promotion.digest,
    details: { model_id: modelId, alias, number, ...event.details },
  }
}
