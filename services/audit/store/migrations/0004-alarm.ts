import { Migration } from '@mikro-orm/migrations'

const ROLE = 'modelkeep_audit'

export class M0004Alarm extends Migration {
  override up(): void {
    for (const statement of STATEMENTS) this.addSql(statement)
  }
}

const STATEMENTS = [
  `create table alarm (
    kind text not null,
    producer text not null,
    subject text not null,
    detail text not null,
    count bigint not null default 1,
    first_time timestamptz(6) not null default clock_timestamp(),
    last_time timestamptz(6) not null default clock_timestamp(),
    constraint alarm_pkey primary key (kind, producer, subject),
    constraint alarm_kind_check check (kind in ('GAP', 'ALTERED'))
  )`,
  `create trigger alarm_kept before delete on alarm for each row execute function log_immutable()`,
  `create trigger alarm_truncate before truncate on alarm for each statement execute function log_immutable()`,
  `grant select, insert, update (count, last_time) on alarm to ${ROLE}`,
]
