// The outbox of a service that produces audit events, as SQL for its migrations.
//
// A row is written in the transaction of the change that it records. At commit, a deferred trigger assigns it the next
// number of the producer under the lock of one counter row: numbers are contiguous and follow commit order, and the lock
// is held only for the commit. Another deferred trigger, on every governed table, refuses to commit a change whose
// resource has no event in the same transaction.

export const OUTBOX_SQL: string[] = [
  `create table outbox (
    event_id uuid not null,
    sequence bigint null,
    transaction xid8 not null default pg_current_xact_id(),
    resource_id text not null,
    event jsonb not null,
    occur_time timestamptz(6) not null default now(),
    constraint outbox_pkey primary key (event_id),
    constraint outbox_sequence_unique unique (sequence)
  )`,
  `create index outbox_transaction_index on outbox (transaction, resource_id)`,
  `create table outbox_counter (
    id int not null default 1,
    last_sequence bigint not null default 0,
    sent_sequence bigint not null default 0,
    sender text null,
    sender_until timestamptz(6) null,
    constraint outbox_counter_pkey primary key (id),
    constraint outbox_counter_id_check check (id = 1)
  )`,
  `insert into outbox_counter default values`,
  `create function outbox_number() returns trigger language plpgsql as $$
    declare next bigint;
    begin
      update outbox_counter set last_sequence = last_sequence + 1 returning last_sequence into next;
      update outbox set sequence = next where event_id = new.event_id;
      return null;
    end $$`,
  `create constraint trigger outbox_number after insert on outbox
    deferrable initially deferred for each row execute function outbox_number()`,
  `create function outbox_immutable() returns trigger language plpgsql as $$
    begin
      if tg_op = 'TRUNCATE' then
        raise exception 'the outbox is never emptied';
      end if;
      if tg_op = 'UPDATE' and old.sequence is null and new.sequence is not null
        and (new.event_id, new.transaction, new.resource_id, new.event, new.occur_time)
          is not distinct from (old.event_id, old.transaction, old.resource_id, old.event, old.occur_time) then
        return new;
      end if;
      if tg_op = 'DELETE' and old.sequence <= (select sent_sequence from outbox_counter) then
        return old;
      end if;
      raise exception 'an event is never changed, and removed only after it was sent';
    end $$`,
  `create trigger outbox_immutable before update or delete on outbox
    for each row execute function outbox_immutable()`,
  `create trigger outbox_untruncated before truncate on outbox
    for each statement execute function outbox_immutable()`,
  `create function require_event() returns trigger language plpgsql as $$
    declare resource text;
    begin
      resource := case when tg_op = 'DELETE' then to_jsonb(old) ->> tg_argv[0] else to_jsonb(new) ->> tg_argv[0] end;
      if not exists (
        select from outbox where transaction = pg_current_xact_id() and resource_id = resource
      ) then
        raise exception '% of %.% without an audit event', tg_op, tg_table_schema, tg_table_name;
      end if;
      return null;
    end $$`,
  // Without a fixed search path, a temporary table of the same name would take precedence.
  `do $$
    declare guard text;
    begin
      foreach guard in array array['outbox_number', 'outbox_immutable', 'require_event'] loop
        execute format('alter function %I() set search_path = %I, pg_temp', guard, current_schema());
      end loop;
    end $$`,
]

/** Returns the trigger that refuses changes of `table` without an event on the resource whose id is in `column`. */
export function governTable(table: string, column = 'id'): string {
  return `create constraint trigger ${table}_event after insert or update or delete on ${table}
    deferrable initially deferred for each row execute function require_event('${column}')`
}
