import { Migration } from '@mikro-orm/migrations'
import { governTable } from '#lib/store/outbox-sql.ts'
import { v7 as uuidv7 } from 'uuid'

const ROLE = 'modelkeep_metadata'

const NAMESPACE_SQL = [
  `create table namespace (
    name text not null,
    id uuid not null,
    description text not null,
    create_time timestamptz(6) not null default now(),
    update_time timestamptz(6) not null default now(),
    revision int not null default 1,
    constraint namespace_pkey primary key (name),
    constraint namespace_id_unique unique (id)
  )`,
]

const MODEL_SQL = [
  `create table model (
    id uuid not null,
    namespace text not null,
    name text not null,
    name_key text not null,
    description text not null,
    owner text not null,
    labels jsonb not null,
    state text not null,
    last_number int not null default 0,
    creator text not null,
    create_time timestamptz(6) not null default now(),
    update_time timestamptz(6) not null default now(),
    revision int not null default 1,
    constraint model_pkey primary key (id),
    constraint model_namespace_foreign foreign key (namespace) references namespace (name),
    constraint model_namespace_name_key_unique unique (namespace, name_key),
    constraint model_state_check check (state in ('ACTIVE', 'ARCHIVED'))
  )`,
  'create index model_name_key_id_index on model (name_key, id)',
  'create index model_create_time_id_index on model (create_time, id)',
  'create index model_update_time_id_index on model (update_time, id)',
  'create index model_namespace_create_time_id_index on model (namespace, create_time, id)',
  'create index model_namespace_update_time_id_index on model (namespace, update_time, id)',
  `create table model_redirect (
    namespace text not null,
    name_key text not null,
    model_id uuid not null,
    constraint model_redirect_pkey primary key (namespace, name_key),
    constraint model_redirect_model_id_foreign foreign key (model_id) references model (id) on delete cascade
  )`,
  'create index model_redirect_model_id_index on model_redirect (model_id)',
]

const VERSION_SQL = [
  `create table version (
    id uuid not null,
    model_id uuid not null,
    namespace text not null,
    number int not null,
    semver text null,
    digest text not null,
    size_bytes bigint not null,
    file_count int not null,
    state text not null,
    facts jsonb not null,
    parameters jsonb not null,
    description text not null,
    labels jsonb not null,
    model_card text not null,
    message_bytes int not null,
    creator text not null,
    create_time timestamptz(6) not null default now(),
    update_time timestamptz(6) not null default now(),
    revision int not null default 1,
    constraint version_pkey primary key (id),
    constraint version_model_id_foreign foreign key (model_id) references model (id),
    constraint version_model_id_number_unique unique (model_id, number),
    constraint version_model_id_semver_unique unique (model_id, semver),
    constraint version_model_id_digest_unique unique (model_id, digest),
    constraint version_state_check check (state in ('READY'))
  )`,
  'create index version_model_id_create_time_id_index on version (model_id, create_time, id)',
  'create index version_namespace_create_time_id_index on version (namespace, create_time, id)',
  'create index version_create_time_id_index on version (create_time, id)',
  `create table version_metric (
    version_id uuid not null,
    ordinal int not null,
    model_id uuid not null,
    name text not null,
    value double precision not null,
    main boolean not null,
    constraint version_metric_pkey primary key (version_id, ordinal),
    constraint version_metric_version_id_foreign foreign key (version_id) references version (id) on delete cascade
  )`,
  'create index version_metric_version_id_name_index on version_metric (version_id, name)',
  `create index version_metric_model_id_name_main_value_version_id_index
    on version_metric (model_id, name, main, value, version_id)`,
  `create index version_metric_name_main_value_version_id_index
    on version_metric (name, main, value, version_id)`,
  `create table version_parent (
    version_id uuid not null,
    ordinal int not null,
    parent_id uuid not null,
    constraint version_parent_pkey primary key (version_id, ordinal),
    constraint version_parent_version_id_foreign foreign key (version_id) references version (id) on delete cascade,
    constraint version_parent_parent_id_foreign foreign key (parent_id) references version (id)
  )`,
  'create index version_parent_parent_id_index on version_parent (parent_id)',
]

const ALIAS_SQL = [
  `create table alias (
    id uuid not null,
    model_id uuid not null,
    name text not null,
    number int not null,
    version_id uuid not null,
    mover text not null,
    move_time timestamptz(6) not null,
    reason text not null,
    constraint alias_pkey primary key (id),
    constraint alias_model_id_foreign foreign key (model_id) references model (id),
    constraint alias_version_id_foreign foreign key (version_id) references version (id),
    constraint alias_model_id_name_unique unique (model_id, name)
  )`,
  'create index alias_version_id_index on alias (version_id)',
  // A move outlives its model and versions, so it refers to neither by a foreign key.
  `create table alias_move (
    id uuid not null,
    alias_id uuid not null,
    model_id uuid not null,
    name text not null,
    from_number int not null,
    to_number int not null,
    version_id uuid null,
    mover text not null,
    move_time timestamptz(6) not null,
    reason text not null,
    constraint alias_move_pkey primary key (id)
  )`,
  'create index alias_move_model_id_name_move_time_id_index on alias_move (model_id, name, move_time, id)',
  'create index alias_move_model_id_move_time_id_index on alias_move (model_id, move_time, id)',
]

const REMOVAL_SQL = [
  `create table tombstone (
    id uuid not null,
    type text not null,
    namespace text not null,
    name text not null,
    model_id uuid not null,
    number int not null,
    digest text not null,
    deleter text not null,
    delete_time timestamptz(6) not null default now(),
    constraint tombstone_pkey primary key (id),
    constraint tombstone_type_check check (type in ('model', 'version'))
  )`,
  'create index tombstone_model_id_number_index on tombstone (model_id, number)',
  `create table manifest_release (
    version_id uuid not null,
    namespace text not null,
    digest text not null,
    due_time timestamptz(6) not null,
    attempts int not null default 0,
    constraint manifest_release_pkey primary key (version_id)
  )`,
  'create index manifest_release_due_time_index on manifest_release (due_time)',
]

/** Triggers that require an event in the transaction of each change. A new version raises the last number of its model,
 * which needs no event of the model. The removal of a version needs an event of the version or of its model. */
const EVENTS_SQL = [
  governTable('namespace'),
  `create constraint trigger model_event
    after insert or delete or update of namespace, name, description, owner, labels, state, creator, revision on model
    deferrable initially deferred for each row execute function require_event('id')`,
  governTable('alias'),
  governTable('alias_move', 'alias_id'),
  `create constraint trigger version_event after insert or update on version
    deferrable initially deferred for each row execute function require_event('id')`,
  `create function require_removal_event() returns trigger language plpgsql as $$
    begin
      if not exists (
        select from outbox
        where transaction = pg_current_xact_id() and resource_id in (old.id::text, old.model_id::text)
      ) then
        raise exception 'DELETE of %.% without an audit event', tg_table_schema, tg_table_name;
      end if;
      return null;
    end $$`,
  `create constraint trigger version_removal_event after delete on version
    deferrable initially deferred for each row execute function require_removal_event()`,
]

export class M0003Models extends Migration {
  override up(): void {
    const tables = 'namespace, model, model_redirect, version, version_metric, version_parent, alias, manifest_release'
    const statements = [
      ...NAMESPACE_SQL,
      `insert into namespace (name, id, description) values ('default', '${uuidv7()}', '')`,
      ...MODEL_SQL,
      ...VERSION_SQL,
      ...ALIAS_SQL,
      ...REMOVAL_SQL,
      ...EVENTS_SQL,
      `grant select, insert, update, delete on ${tables} to ${ROLE}`,
      // These tables are append-only.
      `grant select, insert on alias_move, tombstone to ${ROLE}`,
    ]
    for (const statement of statements) this.addSql(statement)
  }
}
