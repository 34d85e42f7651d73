// Periodic work that one replica at a time does.
import { defineEntity, p } from '@mikro-orm/postgresql'
import { forkFor, type Database } from '#lib/store/database.ts'
import { createTimeColumn, transactionTime } from '#lib/store/time.ts'

const ChoreSchema = defineEntity({
  name: 'Chore',
  tableName: 'chore',
  properties: {
    name: p.text().primary(),
    /** When a replica last began it. */
    startTime: createTimeColumn(),
  },
})
export class Chore extends ChoreSchema.class {}
ChoreSchema.setClass(Chore)

/** Returns true for the replica that is to do the work now. If it crashes, the work waits for the next time. */
export async function claimChore(database: Database, name: string, everySeconds: number): Promise<boolean> {
  const { affectedRows } = await forkFor(database)
    .qb(Chore)
    .insert({ name, startTime: transactionTime() })
    .onConflict('name')
    .merge(['startTime'])
    .where({ startTime: { $lte: transactionTime(-everySeconds) } })
    .execute('run')
  return affectedRows > 0
}
