import { Migration } from '@mikro-orm/migrations'

const ROLE = 'modelkeep_audit'

export class M0010Witness extends Migration {
  override up(): void {
    for (const statement of [...TABLES, ...GUARDS, ...GRANTS]) this.addSql(statement)
  }
}

const TABLES = [
  // One row per witness and checkpoint.
  `create table cosignature (
    size bigint not null,
    key_id text not null,
    cosigner_id text not null,
    cosigner text not null,
    line text not null,
    cosign_time timestamptz(6) not null,
    constraint cosignature_pkey primary key (size, key_id, cosigner_id)
  )`,
  // A row records that a checkpoint was published; another one, that it reached its quorum later.
  `create table publication (
    size bigint not null,
    key_id text not null,
    quorum text not null,
    publish_time timestamptz(6) not null,
    constraint publication_pkey primary key (size, key_id, quorum),
    constraint publication_quorum_check check (quorum in ('MET', 'NONE', 'UNMET'))
  )`,
  `insert into publication (size, key_id, quorum, publish_time) select size, key_id, 'NONE', sign_time from checkpoint`,
]

const GUARDS = ['cosignature', 'publication'].flatMap((table) => [
  `create trigger ${table}_immutable before update or delete on ${table}
    for each row execute function log_immutable()`,
  `create trigger ${table}_truncate before truncate on ${table}
    for each statement execute function log_immutable()`,
])

const GRANTS = [`grant select, insert on cosignature, publication to ${ROLE}`]
