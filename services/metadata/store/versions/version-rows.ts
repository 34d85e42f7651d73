// Reading versions. Every kind of reference is one indexed query.
import type { JsonValue } from '@bufbuild/protobuf'
import type { EntityManager } from '#lib/store/database.ts'
import { LATEST, nameKey } from '../../domain/names.ts'
import type { ExactVersionKey, Selector, VersionKey } from '../../domain/refs.ts'
import { findRedirect } from '../models/find-model.ts'

export interface VersionRow {
  id: string
  model_id: string
  namespace: string
  model: string
  number: number
  semver: string | null
  digest: string
  size_bytes: string
  file_count: number
  state: 'READY'
  facts: JsonValue
  creator: string
  create_time: string
  description: string
  labels: Record<string, string>
  model_card: string
  aliases: string[]
  update_time: string
  revision: number
}

/** `aliases` in one query for all rows of a page. */
export const VERSION_COLUMNS = `v.id, v.model_id, v.namespace, m.name as model, v.number, v.semver, v.digest,
  v.size_bytes, v.file_count, v.state, v.facts, v.creator, v.create_time, v.description, v.labels, v.model_card,
  (select coalesce(json_agg(a.name order by a.name), '[]') from alias a where a.version_id = v.id) as aliases,
  v.update_time, v.revision`

/** What a lookup by name finds on its way. */
export interface Resolved {
  model: boolean
  /** For an alias: whether it points, or pointed, at a version. */
  alias: boolean
  version: VersionRow | undefined
  /** What an alias pointed at, where it has been deleted since. */
  deleted: DeletedVersion | undefined
  /** The time asked for is later than now. */
  future: boolean
}

export interface DeletedVersion {
  id: string
  number: number
  digest: string
}

interface ResolvedRow extends VersionRow {
  alias_number: number | null
  alias_version_id: string | null
  future: boolean
}

export async function findVersionById(em: EntityManager, id: string): Promise<VersionRow | undefined> {
  const [row] = await em.execute<VersionRow[]>(
    `select ${VERSION_COLUMNS} from version v join model m on m.id = v.model_id where v.id = ?`,
    [id],
  )
  return row
}

/** `atTime`: where an alias pointed then. */
export async function resolveByName(
  em: EntityManager,
  key: Exclude<VersionKey, { id: string }>,
  atTime: string | undefined,
): Promise<Resolved> {
  const { join, values } = joinSelected(key.selector, atTime)
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
  // A left join without a match: all columns of the version are null.
  const version = (row.id as string | null) === null ? undefined : row
  const missing = version ? null : row.alias_version_id
  const deleted = missing === null ? undefined : await findDeleted(em, missing)
  return { model: true, alias: (row.alias_number ?? 0) > 0, version, deleted, future: row.future }
}

async function findDeleted(em: EntityManager, id: string): Promise<DeletedVersion | undefined> {
  const [row] = await em.execute<DeletedVersion[]>(
    `select id, number, digest from tombstone where id = ? and type = 'version'`,
    [id],
  )
  return row
}

function joinSelected(selector: Selector, atTime: string | undefined): { join: string; values: unknown[] } {
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

/** Whose a version is or, when it is deleted, was. */
export async function findNamespaceOfVersion(em: EntityManager, id: string): Promise<string | undefined> {
  const [row] = await em.execute<{ namespace: string }[]>(
    `select namespace from version where id = ?
      union all select namespace from tombstone where id = ? and type = 'version' limit 1`,
    [id, id],
  )
  return row?.namespace
}

/** Locks the version's model, then reads the version; undefined when there is none. */
export async function lockVersion(em: EntityManager, key: ExactVersionKey): Promise<VersionRow | undefined> {
  const found = await findExactVersion(em, key)
  if (!found) return undefined
  await em.execute('select 1 from model where id = ? for update', [found.model_id])
  return findVersionById(em, found.id)
}

async function findExactVersion(em: EntityManager, key: ExactVersionKey): Promise<VersionRow | undefined> {
  if ('id' in key) return findVersionById(em, key.id)
  const { namespace, model, number } = key
  const selector = { kind: 'number' as const, value: number }
  return (await resolveByName(em, { namespace, model, selector }, undefined)).version
}

/** Those of `ids` that exist, with whose they are. */
export async function findNamespacesOfVersions(em: EntityManager, ids: string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map()
  const rows = await em.execute<{ id: string; namespace: string }[]>(
    'select id, namespace from version where id in (select jsonb_array_elements_text(?::jsonb)::uuid) for key share',
    [JSON.stringify(ids)],
  )
  return new Map(rows.map(({ id, namespace }) => [id, namespace]))
}
