import type { EventInit } from '#lib/store/outbox.ts'
import type { PromotionRow } from '../store/governance/promotion-rows.ts'
import { promotionResource } from './resources.ts'

/** Builds an event of a promotion, with the details that all of its events have. */
export function promotionEvent(row: PromotionRow, event: Pick<EventInit, 'type' | 'reason' | 'details'>): EventInit {
  return {
    ...event,
    resource: promotionResource(row),
    beforeDigest: row.from_digest,
    afterDigest: row.digest,
    details: { model_id: row.model_id, alias: row.alias, number: row.number, ...event.details },
  }
}
