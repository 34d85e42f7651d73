// Hot read of ResolveVersion: each kind of reference is one indexed statement.
import { sql, type RawBuilder } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { LATEST, nameKey } from '../../domain/names.ts'
import type { Selector, VersionKey } from '../../domain/refs.ts'
import { findRedirect } from '../models/find-model.ts'
import { Tombstone } from '../models/tombstone.ts'
import { Version } from './version.ts'
import { readRow } from '../rows.ts'

/** The columns of a version `v` of the model `m`, with its aliases. */
export const VERSION_COLUMNS = sql`v.id, v.model_id, v.namespace, m.name as model_name, v.number, v.semver, v.digest,
  v.size_bytes, v.file_count, v.state, v.facts, v.creator, v.create_time, v.description, v.labels, v.model_card,
  (select coalesce(json_agg(a.name order by a.name), '[]') from alias a where a.version_id = v.id) as aliases,
  v.update_time, v.revision`

/** The result of resolving a reference by name. */
export interface ResolvedReference {
  /** Whether the model exists. */
  model: boolean
  /** Whether the alias points, or pointed, at a version. */
  alias: boolean
  version: Version | undefined
  /** The version that the alias pointed at, if it has been deleted since. */
  deleted: Tombstone | undefined
  /** Whether the requested time is in the future. */
  future: boolean
}

interface ResolvedRow {
  /** Null when no version matches. */
  id: string | null
  alias_number: number | null
  alias_version_id: string | null
  future: boolean
}

/** Returns the version without making it managed, for a caller that only presents it. */
export async function readVersion(em: EntityManager, id: string): Promise<Version | undefined> {
  const [row] = await query<object>(
    em,
    sql`select ${VERSION_COLUMNS} from version v join model m on m.id = v.model_id where v.id = ${id}`,
  )
  return row && readRow(em, Version, row)
}

/** Resolves a reference by name. `atTime` selects the version that an alias pointed at then. */
export async function resolveByName(
  em: EntityManager,
  key: Exclude<VersionKey, { id: string }>,
  atTime: string | undefined,
): Promise<ResolvedReference> {
  const isAlias = key.selector.kind === 'alias' && key.selector.value !== LATEST
  const alias = isAlias
    ? sql`x.number as alias_number, x.version_id as alias_version_id`
    : sql`null as alias_number, null as alias_version_id`
  const future = atTime === undefined ? sql`false` : sql`${atTime}::timestamptz > clock_timestamp()`
  const select = sql`select ${VERSION_COLUMNS}, ${alias}, ${future} as future
    from model m ${joinSelected(key.selector, atTime)}`
  const byName = sql`m.namespace = ${key.namespace} and m.name_key = ${nameKey(key.model)}`
  let [row] = await query<ResolvedRow>(em, sql`${select} where ${byName}`)
  if (!row) {
    const id = await findRedirect(em, key)
    if (id !== undefined) [row] = await query<ResolvedRow>(em, sql`${select} where m.id = ${id}`)
  }
  if (!row) return { model: false, alias: false, version: undefined, deleted: undefined, future: false }
  const version = row.id === null ? undefined : readRow(em, Version, row)
  const deletedId = version ? null : row.alias_version_id
  const deleted = deletedId === null ? undefined : await findTombstone(em, deletedId)
  return { model: true, alias: (row.alias_number ?? 0) > 0, version, deleted, future: row.future }
}

async function findTombstone(em: EntityManager, id: string): Promise<Tombstone | undefined> {
  return (await em.findOne(Tombstone, { id, type: 'version' })) ?? undefined
}

/** Joins the version `v` that the selector leads to and, for an alias, its target `x`. */
function joinSelected(selector: Selector, atTime: string | undefined): RawBuilder<unknown> {
  const { kind, value } = selector
  if (kind !== 'alias') return sql`left join version v on v.model_id = m.id and ${sql.ref(`v.${kind}`)} = ${value}`
  if (value === LATEST) {
    return sql`left join lateral (
      select * from version where model_id = m.id and state = 'READY' order by number desc limit 1
    ) v on true`
  }
  const version = sql`left join version v on v.id = x.version_id`
  if (atTime === undefined) return sql`left join alias x on x.model_id = m.id and x.name = ${value} ${version}`
  return sql`left join lateral (
    select to_number as number, version_id from alias_move
      where model_id = m.id and name = ${value} and move_time <= ${atTime}::timestamptz
      order by move_time desc, id desc limit 1
  ) x on true ${version}`
}
