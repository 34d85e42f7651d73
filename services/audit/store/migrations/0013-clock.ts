import { Migration } from '@mikro-orm/migrations'

export class M0013Clock extends Migration {
  override up(): void {
    this.addSql('alter table alarm drop constraint alarm_kind_check')
    this.addSql(`alter table alarm add constraint alarm_kind_check check (kind in ('GAP', 'ALTERED', 'CLOCK'))`)
  }
}
