// The job that closes expired promotions.
import { repeat, type Background } from '#lib/process/background.ts'
import type { Logger } from '#lib/process/log.ts'
import { forkFor, inTransaction, type Database } from '#lib/store/database.ts'
import { emitAs } from '#lib/store/outbox.ts'
import { promotionEvent } from '../changes/promotion-event.ts'
import { lockModel } from '../store/models/find-model.ts'
import { closePromotion } from '../changes/close-promotion.ts'
import { findOverdue, lockPromotion } from '../store/governance/find-promotions.ts'

const POLL_MS = 5_000
const BATCH = 100

export interface ExpiryDeps {
  database: Database
  logger: Logger
  relay: { wake(): void }
}

/** Starts the job. Every replica may run it: the locks of model and promotion serialize them. A deleted model has no lock. */
export function startExpiry(deps: ExpiryDeps): Background {
  return repeat('expiry of promotions', POLL_MS, () => expireDue(deps), deps.logger)
}

async function expireDue({ database, relay }: ExpiryDeps): Promise<void> {
  const due = await findOverdue(forkFor(database), BATCH)
  for (const { id, modelId } of due) {
    await inTransaction(database, undefined, async (em) => {
      await lockModel(em, { id: modelId })
      const promotion = (await lockPromotion(em, id))!
      if (!promotion.overdue) return
      await closePromotion(em, promotion, {
        state: 'EXPIRED',
        closer: 'service:metadata',
        reason: 'the promotion expired',
      })
      emitAs(em, 'service:metadata', promotionEvent(promotion, { type: 'promotion.expired.v1' }))
      await em.flush()
    })
  }
  if (due.length > 0) relay.wake()
}
