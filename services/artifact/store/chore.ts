// Work that one replica at a time does, and no more often than it is needed.
import { defineEntity, p } from '@mikro-orm/postgresql'
import { forkFor, type Database } from '#lib/store/database.ts'
import { createTimeColumn } from '#lib/store/time.ts'

const ChoreSchema = defineEntity({
  name: 'Chore',
  tableName: 'chore',
  properties: {
    name: p.text().primary(),
    /** When somebody last began it. */
    startTime: createTimeColumn(),
  },
})
export class Chore extends ChoreSchema.class {}
ChoreSchema.setClass(Chore)

/** True for the one that is to do it now. Whoever dies over it leaves it to the next time. */
export async function claimChore(database: Database, name: string, everySeconds: number): Promise<boolean> {
  const rows = await forkFor(database).execute<unknown[]>(
    `insert into chore (name) values (?) on conflict (name) do update set start_time = now()
      where chore.start_time <= now() - make_interval(secs => ?) returning 1`,
    [name, everySeconds],
  )
  return rows.length > 0
}
