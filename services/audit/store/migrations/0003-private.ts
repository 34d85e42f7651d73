import { Migration } from '@mikro-orm/migrations'

const ROLE = 'modelkeep_audit'

export class M0003Private extends Migration {
  override up(): void {
    for (const statement of [...TABLES, ...GUARDS, ...GRANTS]) this.addSql(statement)
  }
}

const TABLES = [
  // The size of the values stored beside the leaf when recorded; it counts toward the limit of a response.
  `alter table entry add column private_bytes int not null default 0`,
  `create table private_value (
    index bigint not null,
    field text not null,
    salt bytea null,
    value text null,
    redact_index bigint null,
    constraint private_value_pkey primary key (index, field),
    constraint private_value_erased_check check (
      (salt is null) = (redact_index is not null) and (value is null) = (redact_index is not null)
    )
  )`,
  `create table hold (
    id uuid not null,
    namespace text not null,
    resource_id text not null,
    reason text not null,
    placer text not null,
    place_time timestamptz(6) not null default clock_timestamp(),
    release_index bigint null,
    constraint hold_pkey primary key (id),
    constraint hold_subject_check check ((namespace = '') <> (resource_id = ''))
  )`,
]

const GUARDS = [
  `create function private_value_erased() returns trigger language plpgsql as $$
    begin
      if new.index is distinct from old.index or new.field is distinct from old.field
        or old.redact_index is not null or new.redact_index is null then
        raise exception 'a private value is never changed, only erased';
      end if;
      if exists (
        select from hold join entry on entry.index = old.index where hold.release_index is null
          and (hold.namespace = '*' or hold.namespace <> '' and hold.namespace = entry.namespace
            or hold.resource_id <> '' and hold.resource_id = entry.resource_id)
      ) then
        raise exception 'a legal hold keeps the private values of entry %', old.index;
      end if;
      return new;
    end $$`,
  `create function hold_released() returns trigger language plpgsql as $$
    begin
      if (new.id, new.namespace, new.resource_id, new.reason, new.placer, new.place_time)
          is distinct from (old.id, old.namespace, old.resource_id, old.reason, old.placer, old.place_time)
        or old.release_index is not null or new.release_index is null then
        raise exception 'a hold is never changed, only released';
      end if;
      return new;
    end $$`,
  // Without a fixed path, a temporary table of the same name would take precedence.
  `do $$ begin
    execute format('alter function private_value_erased() set search_path = %I, pg_temp', current_schema());
  end $$`,
  `create trigger private_value_erased before update on private_value
    for each row execute function private_value_erased()`,
  `create trigger private_value_kept before delete on private_value for each row execute function log_immutable()`,
  `create trigger hold_released before update on hold for each row execute function hold_released()`,
  `create trigger hold_kept before delete on hold for each row execute function log_immutable()`,
  ...['private_value', 'hold'].map(
    (table) =>
      `create trigger ${table}_truncate before truncate on ${table}
        for each statement execute function log_immutable()`,
  ),
]

const GRANTS = [
  `grant select, insert, update (salt, value, redact_index) on private_value to ${ROLE}`,
  `grant select, insert, update (release_index) on hold to ${ROLE}`,
]
