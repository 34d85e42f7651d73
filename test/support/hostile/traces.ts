// The effects of calls on the tables of the services and on the log.
import { expect } from 'vitest'
import { LogService } from '../../../gen/modelkeep/audit/v1/log_service_pb.ts'
import { Outcome, type LogEntry } from '../../../gen/modelkeep/audit/v1/event_pb.ts'
import { runSql } from '../database.ts'
import type { World } from '../valid/world.ts'

/** Tables of failed calls, of waiting events and of the log, which `readLog` covers. */
const RECORDS = `'outbox', 'outbox_counter', 'entry', 'private_value', 'log_head', 'producer', 'tile', 'checkpoint',
  'publication', 'cosignature', 'alarm'`

async function listTables({ all }: World): Promise<string[]> {
  const statement = `select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname in ('metadata', 'artifact', 'audit') and tablename not in (${RECORDS})`
  return ((await runSql(all.url, statement)) as { name: string }[]).map(({ name }) => name)
}

/** Waits for the background work after a call, so that nothing else changes the tables. */
export async function settle({ all }: World): Promise<void> {
  const deferred = `select (select count(*) from metadata.manifest_release)
    + (select count(*) from artifact.doomed_object) as left`
  await expect.poll(() => runSql(all.url, deferred)).toEqual([{ left: '0' }])
}

/** Returns a value that differs after any row was added, changed or removed. */
export async function stateOf(world: World): Promise<object[]> {
  const counts = (await listTables(world)).map(
    (name) => `select '${name}' as name, count(*), coalesce(sum(xmin::text::bigint), 0)::text as versions from ${name}`,
  )
  return runSql(world.all.url, counts.join(' union all '))
}

/** Returns all texts in the tables: values, and keys of JSON objects such as label names. */
export async function storedTexts(world: World): Promise<Set<string>> {
  const texts = new Set<string>()
  for (const name of await listTables(world)) {
    const rows = (await runSql(world.all.url, `select to_jsonb(t) as row from ${name} t`)) as { row: object }[]
    for (const { row } of rows) collect(row, texts)
  }
  return texts
}

function collect(value: unknown, texts: Set<string>): void {
  if (typeof value === 'string') texts.add(value)
  if (typeof value !== 'object' || value === null) return
  for (const [name, part] of Object.entries(value)) {
    texts.add(name)
    collect(part, texts)
  }
}

/** Returns all entries of the log. */
export async function readLog({ admin }: World): Promise<LogEntry[]> {
  const entries: LogEntry[] = []
  let pageToken = ''
  do {
    const page = await admin(LogService).listEntries({ orderBy: 'index', pageSize: 1000, pageToken })
    entries.push(...page.entries)
    pageToken = page.nextPageToken
  } while (pageToken !== '')
  return entries
}

/** Returns the ids of requests that succeeded according to the log. */
export function requestsDone(entries: LogEntry[]): Set<string> {
  const done = entries.filter(({ event }) => event!.outcome === Outcome.SUCCEEDED)
  return new Set(done.map(({ event }) => event!.requestId))
}
