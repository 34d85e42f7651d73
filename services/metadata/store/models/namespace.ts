import { defineEntity, LockMode, p } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { prepare, runPrepared } from '#lib/store/prepared.ts'
import { createTimeColumn } from '#lib/store/time.ts'

const NamespaceSchema = defineEntity({
  name: 'Namespace',
  tableName: 'namespace',
  properties: {
    name: p.text().primary(),
    id: p.uuid(),
    description: p.text(),
    createTime: createTimeColumn(),
    updateTime: createTimeColumn(),
    revision: p.integer().version().default(1),
  },
  uniques: [{ name: 'namespace_id_unique', properties: ['id'] }],
})
export class Namespace extends NamespaceSchema.class {}
NamespaceSchema.setClass(Namespace)

/** Locks the namespace and its gates for a change. Waits for models that are being created in it. */
export async function lockNamespace(em: EntityManager, name: string): Promise<Namespace | null> {
  return em.findOne(Namespace, name, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true })
}

const LOCK_SHARED = prepare('lock-namespace-shared', sql`select 1 from namespace where name = $1 for share`)

/** Locks the namespace against deletion and its gates against changes, until the transaction ends. A transaction takes
 * it after the lock of a model. Returns whether the namespace exists. */
export async function lockNamespaceShared(em: EntityManager, name: string): Promise<boolean> {
  return (await runPrepared(em, LOCK_SHARED, [name])).length > 0
}
