// Lists of the moves of aliases: keyset pages, the newest first.
import type { EntityManager } from '#lib/store/database.ts'
import { AliasMove } from './alias.ts'
import { readRow } from '../rows.ts'

export interface MoveQuery {
  modelId: string
  /** Empty for all aliases. */
  name: string
  after: [time: string, id: string] | undefined
  limit: number
}

export async function listMoves(em: EntityManager, { modelId, name, after, limit }: MoveQuery): Promise<AliasMove[]> {
  const conditions = ['model_id = ?']
  const values: unknown[] = [modelId]
  if (name !== '') {
    conditions.push('name = ?')
    values.push(name)
  }
  if (after) {
    conditions.push('(move_time, id) < (?::timestamptz, ?::uuid)')
    values.push(...after)
  }
  const rows = await em.execute<object[]>(
    `select * from alias_move where ${conditions.join(' and ')} order by move_time desc, id desc limit ?`,
    [...values, limit],
  )
  return rows.map((row) => readRow(em, AliasMove, row))
}
