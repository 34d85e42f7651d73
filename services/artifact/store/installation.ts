// The installation that uses a store. Objects that a database does not know may belong to another installation: each one
// marks its store, and deletes no orphans where it finds the mark of another one. A store without the mark is unavailable,
// for example because it is not mounted: objects that it lacks are not lost.
import { defineEntity, p } from '@mikro-orm/postgresql'
import { randomUUID } from 'node:crypto'
import { fail, ModelkeepError } from '#lib/errors/errors.ts'
import type { Logger } from '#lib/process/log.ts'
import { forkFor, type Database, type EntityManager } from '#lib/store/database.ts'
import { timeColumn, transactionTime } from '#lib/store/time.ts'
import { MARKS, type ByteStore } from './byte-store.ts'
import { insertIfAbsent } from './insert.ts'

const InstallationSchema = defineEntity({
  name: 'Installation',
  tableName: 'installation',
  properties: {
    single: p.boolean().primary().default(true),
    id: p.uuid(),
    /** When the first start marked the store. It is never marked again. */
    markTime: timeColumn().nullable(),
  },
  checks: [{ name: 'installation_single_check', expression: 'single' }],
})
/** All services that share a database. Its backups have the same id. */
export class Installation extends InstallationSchema.class {}
InstallationSchema.setClass(Installation)

export interface Stores {
  database: Database
  bytes: ByteStore
}

/** Fails while the store is unavailable: out of reach, or without the mark of this installation. Only the first start marks the
 * store, and makes its directory or bucket. Returns the installation's id. An abort of `signal` cancels the query. */
export async function requireStore({ database, bytes }: Stores, signal?: AbortSignal): Promise<string> {
  const em = forkFor(database, signal)
  const { id, markTime } = (await em.findOne(Installation, { single: true })) ?? (await insertInstallation(em))
  if (markTime) {
    await bytes.check(id)
  } else {
    await bytes.mark(id)
    await em.nativeUpdate(Installation, { markTime: null }, { markTime: transactionTime() })
  }
  return id
}

/** Marks the store before the first call, because no write succeeds without the mark. */
export async function prepareStore({ logger, ...stores }: Stores & { logger: Logger }): Promise<void> {
  await requireStore(stores).catch((error: unknown) =>
    logger.warn({ error }, 'the store is not available; each call checks it again'),
  )
}

async function insertInstallation(em: EntityManager): Promise<Installation> {
  await insertIfAbsent(em, Installation, { id: randomUUID() })
  return em.findOneOrFail(Installation, { single: true })
}

/** Fails if the store is unavailable, another installation uses it, or its marks cannot be listed. */
export async function requireOwnStore({ database, bytes }: Stores): Promise<void> {
  const own = await requireStore({ database, bytes })
  const marks = await bytes.listMarks().catch((error: unknown) => {
    const message = `the marks of the store cannot be listed; allow the service to list and write ${MARKS}`
    throw new ModelkeepError('DEPENDENCY_UNAVAILABLE', message, { dependency: 'store' }, [], { cause: error })
  })
  const others = marks.filter((mark) => mark !== own)
  if (others.length === 0) return
  const message =
    `the store is shared with other installations (${others.join(', ')}), so orphans are not deleted; give each ` +
    `installation a store of its own, or delete the mark of one that no longer exists below ${MARKS}`
  fail('STORE_SHARED', message, { others: others.join(',') })
}
