import { Migration } from '@mikro-orm/migrations'

export class M0005Installation extends Migration {
  override up(): void {
    const statements = [
      `create table installation (
        single boolean not null default true,
        id uuid not null,
        constraint installation_pkey primary key (single),
        constraint installation_single_check check (single)
      )`,
      // Rows never change: a restored backup must find the mark of its installation.
      'grant select, insert on installation to modelkeep_artifact',
      `alter table doomed_object
        add column keeps_object boolean not null default false,
        add column attempts int not null default 0`,
    ]
    for (const statement of statements) this.addSql(statement)
  }
}
