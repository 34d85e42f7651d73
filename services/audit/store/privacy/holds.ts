// Legal holds, which protect the private values of entries from erasure.
import type { EntityManager } from '#lib/store/database.ts'
import { Entry, Hold } from '../entities.ts'

export async function insertHold(
  em: EntityManager,
  hold: Pick<Hold, 'id' | 'namespace' | 'resourceId' | 'reason' | 'placer'>,
): Promise<Hold> {
  const placed = em.create(Hold, hold)
  await em.flush()
  return placed
}

export async function findHold(em: EntityManager, id: string): Promise<Hold | null> {
  return em.findOne(Hold, id)
}

/** Returns the holds in force, the oldest first. */
export async function listHolds(em: EntityManager, limit: number): Promise<Hold[]> {
  return em.find(Hold, { releaseIndex: null }, { orderBy: { placeTime: 'asc', id: 'asc' }, limit })
}

/** Returns a hold in force on the entry at `index`, or null. */
export async function findHoldOn(em: EntityManager, index: number): Promise<Hold | null> {
  const { namespace, resourceId } = await em.findOneOrFail(Entry, index, { fields: ['namespace', 'resourceId'] })
  const subjects = [{ namespace: '*' }, ...(namespace === '' ? [] : [{ namespace }]), { resourceId }]
  return em.findOne(Hold, { releaseIndex: null, $or: subjects })
}
