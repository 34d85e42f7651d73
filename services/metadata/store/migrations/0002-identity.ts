import { Migration } from '@mikro-orm/migrations'
import { governTable } from '#lib/store/outbox-sql.ts'

export class M0002Identity extends Migration {
  override up(): void {
    const statements = [
      `create table token (
        id uuid not null,
        principal text not null,
        description text not null,
        token_hash bytea not null,
        create_time timestamptz(6) not null default now(),
        expire_time timestamptz(6) not null,
        revoke_time timestamptz(6) null,
        constraint token_pkey primary key (id),
        constraint token_token_hash_unique unique (token_hash)
      )`,
      `create index token_principal_id_index on token (principal, id)`,
      `create table role_binding (
        id uuid not null,
        principal text not null,
        namespace text not null,
        role text not null,
        create_time timestamptz(6) not null default now(),
        constraint role_binding_pkey primary key (id),
        constraint role_binding_principal_namespace_unique unique (principal, namespace),
        constraint role_binding_role_check check (role in ('READER', 'CONTRIBUTOR', 'ADMIN'))
      )`,
      `create index role_binding_namespace_principal_index on role_binding (namespace, principal)`,
      governTable('token'),
      governTable('role_binding'),
      // A token is never deleted, so that the credential ids in the audit log can always be resolved.
      `grant select, insert, update on token to modelkeep_metadata`,
      `grant select, insert, update, delete on role_binding to modelkeep_metadata`,
    ]
    for (const statement of statements) this.addSql(statement)
  }
}
