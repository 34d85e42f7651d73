import { Migration } from '@mikro-orm/migrations'

export class M0012Retention extends Migration {
  override up(): void {
    for (const statement of STATEMENTS) this.addSql(statement)
  }
}

const STATEMENTS = [
  // Empty for values from before retention classes, which do not expire.
  `alter table private_value add column retention_class text not null default ''`,
  `alter table private_value add constraint private_value_retention_class_check
    check (retention_class in ('', 'OPERATIONAL', 'SECURITY', 'GOVERNANCE'))`,
  `create index private_value_retention_class_index on private_value (retention_class, index, field)
    where value is not null`,
  `create or replace function private_value_erased() returns trigger language plpgsql as $$
    begin
      if new.index is distinct from old.index or new.field is distinct from old.field
        or new.retention_class is distinct from old.retention_class
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
  // Without a fixed path, a temporary table of the same name would take precedence.
  `do $$ begin
    execute format('alter function private_value_erased() set search_path = %I, pg_temp', current_schema());
  end $$`,
]
