// Lists of the moves of aliases: keyset pages, the newest first.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
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
  const conditions = [sql`model_id = ${modelId}::uuid`]
  if (name !== '') conditions.push(sql`name = ${name}`)
  if (after) conditions.push(sql`(move_time, id) < (${after[0]}::timestamptz, ${after[1]}::uuid)`)
  const rows = await query<object>(
    em,
    sql`select * from alias_move where ${sql.join(conditions, sql` and `)}
      order by move_time desc, id desc limit ${limit}`,
  )
  return rows.map((row) => readRow(em, AliasMove, row))
}
