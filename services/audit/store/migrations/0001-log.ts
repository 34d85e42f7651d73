import { Migration } from '@mikro-orm/migrations'
import { serviceRoleSql } from '#lib/store/roles-sql.ts'

const ROLE = 'modelkeep_audit'

export class M0001Log extends Migration {
  override up(): void {
    for (const statement of [...serviceRoleSql(ROLE, 'audit'), ...TABLES, ...GUARDS, ...GRANTS]) this.addSql(statement)
  }
}

const TABLES = [
  `create table entry (
    index bigint not null,
    event_id uuid not null,
    producer text not null,
    sequence bigint not null,
    type text not null,
    actor text not null,
    outcome text not null,
    namespace text not null,
    resource_type text not null,
    resource_id text not null,
    resource_name text collate "C" not null,
    resource_digest text not null,
    reason text not null,
    request_id text not null,
    occur_time timestamptz(6) not null,
    record_time timestamptz(6) not null,
    leaf bytea not null,
    leaf_hash bytea not null,
    constraint entry_pkey primary key (index),
    constraint entry_event_id_unique unique (event_id),
    constraint entry_producer_sequence_unique unique (producer, sequence),
    constraint entry_outcome_check check (outcome in ('SUCCEEDED', 'DENIED'))
  )`,
  `create index entry_namespace_index on entry (namespace, index)`,
  `create index entry_resource_name_index on entry (resource_name, index)`,
  `create index entry_resource_id_index on entry (resource_id, index)`,
  `create index entry_actor_index on entry (actor, index)`,
  `create index entry_type_index on entry (type, index)`,
  `create table log_head (
    id int not null default 1,
    size bigint not null default 0,
    constraint log_head_pkey primary key (id),
    constraint log_head_id_check check (id = 1)
  )`,
  `insert into log_head default values`,
  `create table producer (
    name text not null,
    next_sequence bigint not null,
    constraint producer_pkey primary key (name)
  )`,
]

/** These stop the owner too, who would have to remove them first. */
const GUARDS = [
  `create function log_immutable() returns trigger language plpgsql as $$
    begin
      raise exception '% of %.%: the log is only ever added to', tg_op, tg_table_schema, tg_table_name;
    end $$`,
  `create function log_head_grows() returns trigger language plpgsql as $$
    begin
      if new.id is distinct from old.id or new.size < old.size then raise exception 'the log never shrinks'; end if;
      return new;
    end $$`,
  `create function producer_grows() returns trigger language plpgsql as $$
    begin
      if new.name is distinct from old.name or new.next_sequence < old.next_sequence then
        raise exception 'a producer never counts back';
      end if;
      return new;
    end $$`,
  `create trigger entry_immutable before update or delete on entry for each row execute function log_immutable()`,
  `create trigger log_head_grows before update on log_head for each row execute function log_head_grows()`,
  `create trigger log_head_kept before delete on log_head for each row execute function log_immutable()`,
  `create trigger producer_grows before update on producer for each row execute function producer_grows()`,
  `create trigger producer_kept before delete on producer for each row execute function log_immutable()`,
  ...['entry', 'log_head', 'producer'].map(
    (table) =>
      `create trigger ${table}_truncate before truncate on ${table}
        for each statement execute function log_immutable()`,
  ),
]

const GRANTS = [
  `grant select, insert on entry to ${ROLE}`,
  `grant select, update on log_head to ${ROLE}`,
  `grant select, insert, update on producer to ${ROLE}`,
]
