// The database role of a service: it may use the tables of its schema and nothing else. Migrations run as the owner.

/** Creates the role unless the server has it, which concurrent migrations of other databases may do too, and grants it to
 * the migrating user. */
export function serviceRoleSql(role: string, schema: string): string[] {
  return [
    `do $$ begin
      create role ${role} nologin;
    exception when duplicate_object or unique_violation then null;
    end $$`,
    `do $$ begin
      execute format('grant ${role} to %I', current_user);
    exception when others then
      if not pg_has_role(current_user, '${role}', 'member') then raise; end if;
    end $$`,
    `grant usage on schema ${schema} to ${role}`,
  ]
}

/** Grants all rights on the data of `tables`, and none on their definition. */
export function grantAllSql(role: string, tables: string[]): string {
  return `grant select, insert, update, delete on ${tables.join(', ')} to ${role}`
}
