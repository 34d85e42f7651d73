// Reads and locks of promotions. A change of a promotion requires the lock of its model, the exclusive lock of its
// namespace, or the lock of its row.
import { LockMode, raw } from '@mikro-orm/postgresql'
import type { EntityManager } from '#lib/store/database.ts'
import { Promotion } from './promotion.ts'

const PENDING = 'PENDING_APPROVAL'

/** Returns the promotion with its votes, the name of its model, and whether it is overdue. */
export async function findPromotion(em: EntityManager, id: string): Promise<Promotion | null> {
  return em.findOne(Promotion, id, { populate: ['modelName', 'votes', 'overdue'], refresh: true })
}

/** Locks the row of the promotion, and returns the same as `findPromotion`. */
export async function lockPromotion(em: EntityManager, id: string): Promise<Promotion | null> {
  const populate = ['modelName', 'votes', 'overdue'] as const
  return em.findOne(Promotion, id, { populate, lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true })
}

/** Returns a pending promotion of the version to the alias. */
export async function findPending(
  em: EntityManager,
  where: { modelId: string; alias: string; versionId: string },
): Promise<Promotion | null> {
  return em.findOne(Promotion, { ...where, state: PENDING, expireTime: { $gt: raw('clock_timestamp()') } })
}

/** Selects promotions by model, and by aliases of it, by version or by namespace. */
export type PromotionFilter = { modelId: string; alias?: string[] } | { versionId: string } | { namespace: string }

/** Locks and returns the pending promotions. The order is fixed, so that concurrent transactions do not deadlock. */
export async function lockPending(em: EntityManager, filter: PromotionFilter): Promise<Promotion[]> {
  return em.find(
    Promotion,
    { ...filter, state: PENDING },
    {
      populate: ['modelName', 'votes', 'overdue'],
      orderBy: { id: 'asc' },
      lockMode: LockMode.PESSIMISTIC_WRITE,
      refresh: true,
    },
  )
}

/** Returns promotions that have expired but are not closed yet, the longest overdue first. */
export async function findOverdue(em: EntityManager, limit: number): Promise<Pick<Promotion, 'id' | 'modelId'>[]> {
  return em.find(
    Promotion,
    { state: PENDING, expireTime: { $lte: raw('clock_timestamp()') } },
    { fields: ['id', 'modelId'], orderBy: { expireTime: 'asc' }, limit },
  )
}
