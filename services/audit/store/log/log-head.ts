// The head of the log, as last committed: its size and the root of its tree.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import type { Tree } from '../../domain/checkpoint.ts'
import { LogHead } from '../entities.ts'
import { query } from '#lib/store/query.ts'

export async function readHead(em: EntityManager): Promise<Tree> {
  const { size, root } = await em.findOneOrFail(LogHead, 1, { fields: ['size', 'root'], disableIdentityMap: true })
  return { size, root }
}

/** Every page of entries needs the size, so it is read by SQL. */
export async function readLogSize(em: EntityManager): Promise<number> {
  const [head] = await query<{ size: string }>(em, sql`select size from log_head`)
  return Number(head!.size)
}
