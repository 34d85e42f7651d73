// The role a service takes on: it may use its schema's tables and nothing else. Migrations run as the owner.

/** Creates the role once per server, tolerant of other databases' migrations that run at the same time, and lets the
 * migrating user take it on. */
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

/** Every right on the data of `tables`, none on their definition. */
export function grantAllSql(role: string, tables: string[]): string {
  return `grant select, insert, update, delete on ${tables.join(', ')} to ${role}`
}
