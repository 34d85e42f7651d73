import type { EntityClass, RequiredEntityData } from '@mikro-orm/postgresql'
import type { EntityManager } from '#lib/store/database.ts'

/** Inserts a row in one statement, unless a row with the same key exists. Returns whether it was inserted. */
export async function insertIfAbsent<E extends object>(
  em: EntityManager,
  entity: EntityClass<E>,
  row: RequiredEntityData<E>,
): Promise<boolean> {
  const { affectedRows } = await em.qb(entity).insert(row).onConflict().ignore().execute('run')
  return affectedRows > 0
}
