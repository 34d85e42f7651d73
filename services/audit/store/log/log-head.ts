// The head of the log, as last committed: its size and the root of its tree.
import type { EntityManager } from '#lib/store/database.ts'
import type { Tree } from '../../domain/checkpoint.ts'
import { LogHead } from '../entities.ts'

export async function readHead(em: EntityManager): Promise<Tree> {
  const { size, root } = await em.findOneOrFail(LogHead, 1, { fields: ['size', 'root'], disableIdentityMap: true })
  return { size, root }
}

export async function readLogSize(em: EntityManager): Promise<number> {
  const { size } = await em.findOneOrFail(LogHead, 1, { fields: ['size'], disableIdentityMap: true })
  return size
}
