// Hot read of ResolveVersion: each kind of reference is one indexed statement.
import type { EntityManager } from '#lib/store/database.ts'
import { LATEST, nameKey } from '../../domain/names.ts'
import type { Selector, VersionKey } from '../../domain/refs.ts'
import { findRedirect } from '../models/find-model.ts'
import { Tombstone } from '../models/tombstone.ts'
import { Version } from './version.ts'
import { readRow } from '../rows.ts'

/** The columns of a version `v` of the model `m`, with its aliases. */
export const VERSION_COLUMNS = `v.id, v.model_id, v.namespace, m.name as model_name, v.number, v.semver, v.digest,
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
  const [row] = await em.execute<object[]>(
    `select ${VERSION_COLUMNS} from version v join model m on m.id = v.model_id where v.id = ?`,
    [id],
  )
  return row && readRow(em, Version, row)
}

/** Resolves a reference by name. `atTime` selects the version that an alias pointed at then. */
export async function resolveByName(
  em: EntityManager,
  key: Exclude<VersionKey, { id: string }>,
  atTime: string | undefined,
): Promise<ResolvedReference> {
  const { join, values } = selectorJoin(key.selector, atTime)
  const [future, futureValues] = atTime === undefined ? ['false', []] : ['?::timestamptz > clock_timestamp()', [atTime]]
  const isAlias = key.selector.kind === 'alias' && key.selector.value !== LATEST
  const [number, versionId] = isAlias ? ['x.number', 'x.version_id'] : ['null', 'null']
  const alias = `${number} as alias_number, ${versionId} as alias_version_id`
  const select = `select ${VERSION_COLUMNS}, ${alias}, ${future} as future from model m ${join}`
  let [row] = await em.execute<ResolvedRow[]>(`${select} where m.namespace = ? and m.name_key = ?`, [
    ...futureValues,
    ...values,
    key.namespace,
    nameKey(key.model),
  ])
  if (!row) {
    const id = await findRedirect(em, key)
    if (id !== undefined) {
      ;[row] = await em.execute<ResolvedRow[]>(`${select} where m.id = ?`, [...futureValues, ...values, id])
    }
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

function selectorJoin(selector: Selector, atTime: string | undefined): { join: string; values: unknown[] } {
  const { kind, value } = selector
  if (kind !== 'alias') return { join: `left join version v on v.model_id = m.id and v.${kind} = ?`, values: [value] }
  if (value === LATEST) {
    const highest = `select * from version where model_id = m.id and state = 'READY' order by number desc limit 1`
    return { join: `left join lateral (${highest}) v on true`, values: [] }
  }
  const version = 'left join version v on v.id = x.version_id'
  if (atTime === undefined) {
    return { join: `left join alias x on x.model_id = m.id and x.name = ? ${version}`, values: [value] }
  }
  const move = `select to_number as number, version_id from alias_move
    where model_id = m.id and name = ? and move_time <= ?::timestamptz order by move_time desc, id desc limit 1`
  return { join: `left join lateral (${move}) x on true ${version}`, values: [value, atTime] }
}
