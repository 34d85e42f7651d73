// Versions with facts that are slow to filter, written by SQL.
import { runSql } from './database.ts'

interface Seed {
  /** SQL of the columns. */
  facts: string
  parameters: string
}

const objects = (object: string, from: number, to: number): string =>
  `(select jsonb_agg(${object}) from generate_series(${from}, ${to}) n)`

/** Facts of 3.5 MB, the most that a request can carry. */
export const LARGE: Seed = {
  facts: `jsonb_build_object('license', 'MIT', 'source', '{"commit": "c1"}'::jsonb,
    'datasets', ${objects(`jsonb_build_object('name', 'set-' || n, 'uri', repeat('u', 2000))`, 1, 100)},
    'parameters', ${objects(`jsonb_build_object('name', 'p' || n, 'value', repeat('x', 8000))`, 0, 399)})`,
  parameters: `(select jsonb_object_agg('p' || n, repeat('x', 8000)) from generate_series(0, 399) n)`,
}

/** A hundred datasets: a condition on them compares each. */
export const DATASETS: Seed = {
  facts: `jsonb_build_object('datasets', ${objects(`jsonb_build_object('name', repeat('set-', 40) || n)`, 1, 100)})`,
  parameters: `'{}'`,
}

/** Gives the only version of the database these facts, and copies it until there are `count`. */
export async function seedVersions(url: string, { facts, parameters }: Seed, count: number): Promise<void> {
  // Bypasses the trigger that requires an event for every change.
  await runSql(
    url,
    `set session_replication_role = replica;
    update metadata.version set facts = ${facts}, parameters = ${parameters};
    insert into metadata.version (id, model_id, namespace, number, digest, size_bytes, file_count, state, facts, parameters,
        description, labels, model_card, message_bytes, creator)
      select gen_random_uuid(), model_id, namespace, number + n, digest || n, size_bytes, file_count, state, facts, parameters,
        description, labels, model_card, message_bytes, creator
      from metadata.version, generate_series(1, ${count - 1}) n;
    set session_replication_role = origin`,
  )
}

/** A filter with `count` conditions of which one is enough. */
export const anyOf = (condition: (index: number) => string, count: number): string =>
  Array.from({ length: count }, (_, index) => condition(index)).join(' OR ')
