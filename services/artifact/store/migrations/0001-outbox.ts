import { Migration } from '@mikro-orm/migrations'
import { OUTBOX_SQL } from '#lib/store/outbox-sql.ts'
import { REQUESTS_SQL } from '#lib/store/requests.ts'
import { grantAllSql, serviceRoleSql } from '#lib/store/roles-sql.ts'

export class M0001Outbox extends Migration {
  override up(): void {
    const tables = ['outbox', 'outbox_counter', 'answered_request']
    const statements = [
      ...serviceRoleSql('modelkeep_artifact', 'artifact'),
      ...OUTBOX_SQL,
      ...REQUESTS_SQL,
      grantAllSql('modelkeep_artifact', tables),
    ]
    for (const statement of statements) this.addSql(statement)
  }
}
