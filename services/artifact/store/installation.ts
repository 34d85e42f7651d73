// Who uses a store. What a database does not know may be another's: each installation marks the stores it uses, and takes
// nothing for nobody's where it finds another's mark.
import { defineEntity, p } from '@mikro-orm/postgresql'
import { randomUUID } from 'node:crypto'
import { fail, ModelkeepError } from '#lib/errors.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import { MARKS, type ByteStore } from './byte-store.ts'

const InstallationSchema = defineEntity({
  name: 'Installation',
  tableName: 'installation',
  properties: {
    single: p.boolean().primary().default(true),
    id: p.uuid(),
  },
  checks: [{ name: 'installation_single_check', expression: 'single' }],
})
/** All services on one database; it stays the same in its backups. */
export class Installation extends InstallationSchema.class {}
InstallationSchema.setClass(Installation)

/** Marks the store as used by this installation, where it has not done so. Returns whoever else uses it. */
export async function markStore(database: Database, bytes: ByteStore): Promise<string[]> {
  const em = forkFor(database)
  await em.execute('insert into installation (id) values (?) on conflict do nothing', [randomUUID()])
  const { id } = await em.findOneOrFail(Installation, { single: true })
  const marks = await bytes.listMarks()
  if (!marks.includes(id)) await bytes.mark(id)
  return marks.filter((mark) => mark !== id)
}

/** Fails where another installation uses the store, or it cannot be told. */
export async function requireOwnStore(database: Database, bytes: ByteStore): Promise<void> {
  const others = await markStore(database, bytes).catch((error: unknown) => {
    const message = `the store does not tell who uses it: the service must be able to list and write ${MARKS}`
    throw new ModelkeepError('DEPENDENCY_UNAVAILABLE', message, { dependency: 'store' }, [], { cause: error })
  })
  if (others.length === 0) return
  const message =
    `other installations use the store (${others.join(', ')}), so that what this one does not know is left there: give ` +
    `each a store of its own, or, where the other is no more, remove its object below ${MARKS}`
  fail('STORE_SHARED', message, { others: others.join(',') })
}
