import { Migration } from '@mikro-orm/migrations'
import { grantAllSql } from '#lib/store/roles-sql.ts'

/** Renewals of leases need no event; all other changes do. */
const LEASES = [
  `alter table namespace_blob
    add column lease_time timestamptz(6) not null default now(),
    add column condemn_time timestamptz(6) null`,
  `create index namespace_blob_condemn_time_index on namespace_blob (condemn_time) where condemn_time is not null`,
  `drop trigger namespace_blob_event on namespace_blob`,
  `create constraint trigger namespace_blob_event
    after insert or delete or update of namespace, digest, create_time, condemn_time on namespace_blob
    deferrable initially deferred for each row execute function require_event('digest')`,
  `alter table manifest add column lease_time timestamptz(6) not null default now()`,
  `drop trigger manifest_event on manifest`,
  `create constraint trigger manifest_event
    after insert or delete or update of namespace, digest, content, total_size_bytes, file_count, create_time on manifest
    deferrable initially deferred for each row execute function require_event('digest')`,
]

const INTEGRITY = [
  `alter table blob
    add column state text not null default 'PRESENT',
    add column verify_time timestamptz(6) not null default now(),
    add column verifying_until timestamptz(6) null,
    add constraint blob_state_check check (state in ('PRESENT', 'QUARANTINED'))`,
  `update blob set verify_time = create_time`,
  `create index blob_verify_time_index on blob (verify_time)`,
  `create constraint trigger blob_event after delete or update of digest, state on blob
    deferrable initially deferred for each row execute function require_event('digest')`,
]

const CHORES = [
  `create table chore (
    name text not null,
    start_time timestamptz(6) not null default now(),
    constraint chore_pkey primary key (name)
  )`,
]

export class M0004Garbage extends Migration {
  override up(): void {
    const statements = [...LEASES, ...INTEGRITY, ...CHORES, grantAllSql('modelkeep_artifact', ['chore'])]
    for (const statement of statements) this.addSql(statement)
  }
}
