// Versions with facts of 3.5 MB, the most that a request can carry, written by SQL.
import { runSql } from './database.ts'

const FACTS = `jsonb_build_object('license', 'MIT', 'source', '{"commit": "c1"}'::jsonb,
  'datasets', (select jsonb_agg(jsonb_build_object('name', 'set-' || n, 'uri', repeat('u', 2000)))
    from generate_series(1, 100) n),
  'parameters', (select jsonb_agg(jsonb_build_object('name', 'p' || n, 'value', repeat('x', 8000)))
    from generate_series(0, 399) n))`
const PARAMETERS = `(select jsonb_object_agg('p' || n, repeat('x', 8000)) from generate_series(0, 399) n)`

/** Gives the only version of the database facts of 3.5 MB, and copies it until there are `count`. */
export async function seedLargeVersions(url: string, count: number): Promise<void> {
  // Bypasses the trigger that requires an event for every change.
  await runSql(
    url,
    `set session_replication_role = replica;
    update metadata.version set facts = ${FACTS}, parameters = ${PARAMETERS};
    insert into metadata.version (id, model_id, namespace, number, digest, size_bytes, file_count, state, facts, parameters,
        description, labels, model_card, message_bytes, creator)
      select gen_random_uuid(), model_id, namespace, number + n, digest || n, size_bytes, file_count, state, facts, parameters,
        description, labels, model_card, message_bytes, creator
      from metadata.version, generate_series(1, ${count - 1}) n;
    set session_replication_role = origin`,
  )
}
