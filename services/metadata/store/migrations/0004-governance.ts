import { Migration } from '@mikro-orm/migrations'
import { governTable } from '#lib/store/outbox-sql.ts'

const ROLE = 'modelkeep_metadata'

const ROLE_SQL = [
  'alter table role_binding drop constraint role_binding_role_check',
  `alter table role_binding add constraint role_binding_role_check
    check (role in ('READER', 'CONTRIBUTOR', 'APPROVER', 'ADMIN'))`,
]

const EVALUATION_SQL = [
  `create table evaluation (
    id uuid not null,
    version_id uuid not null,
    suite text not null,
    facts jsonb not null,
    message_bytes int not null,
    creator text not null,
    create_time timestamptz(6) not null,
    constraint evaluation_pkey primary key (id),
    constraint evaluation_version_id_foreign foreign key (version_id) references version (id) on delete cascade
  )`,
  'create index evaluation_version_id_create_time_id_index on evaluation (version_id, create_time, id)',
  'create index evaluation_version_id_suite_create_time_id_index on evaluation (version_id, suite, create_time, id)',
  // Evaluations are deleted with their version, whose event covers them.
  `create constraint trigger evaluation_event after insert or update on evaluation
    deferrable initially deferred for each row execute function require_event('id')`,
]

const GATE_SQL = [
  `create table gate (
    id uuid not null,
    namespace text not null,
    name text not null,
    model_id uuid null,
    rules jsonb not null,
    message_bytes int not null,
    creator text not null,
    create_time timestamptz(6) not null default now(),
    update_time timestamptz(6) not null default now(),
    revision int not null default 1,
    constraint gate_pkey primary key (id),
    constraint gate_namespace_foreign foreign key (namespace) references namespace (name),
    constraint gate_model_id_foreign foreign key (model_id) references model (id),
    constraint gate_namespace_name_unique unique (namespace, name)
  )`,
  'create index gate_model_id_index on gate (model_id)',
  // A revision outlives its gate, so it does not refer to it by a foreign key.
  `create table gate_revision (
    gate_id uuid not null,
    revision int not null,
    namespace text not null,
    rules jsonb null,
    message_bytes int not null,
    changer text not null,
    reason text not null,
    change_time timestamptz(6) not null default now(),
    constraint gate_revision_pkey primary key (gate_id, revision)
  )`,
]

const PROMOTION_SQL = [
  // A promotion outlives its model and version, so it refers to neither by a foreign key.
  `create table promotion (
    id uuid not null,
    namespace text not null,
    model_id uuid not null,
    model text not null,
    alias text not null,
    number int not null,
    version_id uuid not null,
    digest text not null,
    creator text not null,
    from_number int not null,
    from_digest text not null,
    state text not null,
    decisions jsonb not null,
    requester text not null,
    reason text not null,
    request_time timestamptz(6) not null,
    expire_time timestamptz(6) not null,
    closer text not null default '',
    close_reason text not null default '',
    close_time timestamptz(6) null,
    message_bytes int not null,
    constraint promotion_pkey primary key (id),
    constraint promotion_state_check
      check (state in ('PENDING_APPROVAL', 'APPLIED', 'REJECTED', 'EXPIRED', 'WITHDRAWN', 'VOIDED'))
  )`,
  'create index promotion_namespace_request_time_id_index on promotion (namespace, request_time, id)',
  'create index promotion_model_id_request_time_id_index on promotion (model_id, request_time, id)',
  'create index promotion_state_expire_time_index on promotion (state, expire_time)',
  `create index promotion_namespace_state_request_time_id_index
    on promotion (namespace, state, request_time, id)`,
  'create index promotion_model_id_state_request_time_id_index on promotion (model_id, state, request_time, id)',
  `create table promotion_vote (
    promotion_id uuid not null,
    principal text not null,
    approved boolean not null,
    reason text not null,
    vote_time timestamptz(6) not null,
    counted boolean not null default true,
    constraint promotion_vote_pkey primary key (promotion_id, principal),
    constraint promotion_vote_promotion_id_foreign foreign key (promotion_id) references promotion (id)
  )`,
]

const MOVE_SQL = [
  'alter table alias_move add column promotion_id uuid null',
  'alter table alias_move add column forced boolean not null default false',
]

export class M0004Governance extends Migration {
  override up(): void {
    const statements = [
      ...ROLE_SQL,
      ...EVALUATION_SQL,
      ...GATE_SQL,
      ...PROMOTION_SQL,
      ...MOVE_SQL,
      governTable('gate'),
      governTable('gate_revision', 'gate_id'),
      governTable('promotion'),
      governTable('promotion_vote', 'promotion_id'),
      `grant select, insert, update, delete on gate to ${ROLE}`,
      `grant select, insert, update on promotion to ${ROLE}`,
      // These tables are append-only.
      `grant select, insert on evaluation, gate_revision, promotion_vote to ${ROLE}`,
      `grant update (counted) on promotion_vote to ${ROLE}`,
    ]
    for (const statement of statements) this.addSql(statement)
  }
}
