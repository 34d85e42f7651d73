// Who uses a store. What a database does not know may be another's: each installation marks its store, and takes nothing
// for nobody's where it finds another's mark. A store without the mark is away: it was not mounted, say, or is another one,
// and what it lacks is not lost.
import { defineEntity, p } from '@mikro-orm/postgresql'
import { randomUUID } from 'node:crypto'
import { fail, ModelkeepError } from '#lib/errors/errors.ts'
import type { Logger } from '#lib/process/log.ts'
import { forkFor, type Database, type EntityManager } from '#lib/store/database.ts'
import { timeColumn } from '#lib/store/time.ts'
import { MARKS, type ByteStore } from './byte-store.ts'

const InstallationSchema = defineEntity({
  name: 'Installation',
  tableName: 'installation',
  properties: {
    single: p.boolean().primary().default(true),
    id: p.uuid(),
    /** When the store was marked, at the first start; it is never marked again. */
    markTime: timeColumn().nullable(),
  },
  checks: [{ name: 'installation_single_check', expression: 'single' }],
})
/** All services on one database; it stays the same in its backups. */
export class Installation extends InstallationSchema.class {}
InstallationSchema.setClass(Installation)

export interface Stores {
  database: Database
  bytes: ByteStore
}

/** Fails while the store is away: out of reach, or without the mark of this installation. Only at the first start it is
 * marked, and its directory or bucket made. Returns the installation's id. An abort of `signal` cancels the query. */
export async function requireStore({ database, bytes }: Stores, signal?: AbortSignal): Promise<string> {
  const em = forkFor(database, signal)
  const { id, markTime } = (await em.findOne(Installation, { single: true })) ?? (await insertInstallation(em))
  if (markTime) {
    await bytes.check(id)
  } else {
    await bytes.mark(id)
    await em.execute('update installation set mark_time = now() where mark_time is null')
  }
  return id
}

/** Before the first call comes: nothing is stored until the store is marked. */
export async function prepareStore({ logger, ...stores }: Stores & { logger: Logger }): Promise<void> {
  await requireStore(stores).catch((error: unknown) => logger.warn({ error }, 'the store cannot be used at present'))
}

async function insertInstallation(em: EntityManager): Promise<Installation> {
  await em.execute('insert into installation (id) values (?) on conflict do nothing', [randomUUID()])
  return em.findOneOrFail(Installation, { single: true })
}

/** Fails where the store is away, another installation uses it, or it cannot be told. */
export async function requireOwnStore({ database, bytes }: Stores): Promise<void> {
  const own = await requireStore({ database, bytes })
  const marks = await bytes.listMarks().catch((error: unknown) => {
    const message = `the store does not tell who uses it: the service must be able to list and write ${MARKS}`
    throw new ModelkeepError('DEPENDENCY_UNAVAILABLE', message, { dependency: 'store' }, [], { cause: error })
  })
  const others = marks.filter((mark) => mark !== own)
  if (others.length === 0) return
  const message =
    `other installations use the store (${others.join(', ')}), so that what this one does not know is left there: give ` +
    `each a store of its own, or, where the other is no more, remove its object below ${MARKS}`
  fail('STORE_SHARED', message, { others: others.join(',') })
}
