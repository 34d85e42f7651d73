import { Migration } from '@mikro-orm/migrations'

export class M0006MarkedStore extends Migration {
  override up(): void {
    const statements = [
      'alter table installation add column mark_time timestamptz(6) null',
      // Until now the store was marked as soon as the installation had its id.
      'update installation set mark_time = now()',
      'grant update (mark_time) on installation to modelkeep_artifact',
      `create index blob_quarantined_index on blob (verify_time) where state = 'QUARANTINED'`,
    ]
    for (const statement of statements) this.addSql(statement)
  }
}
