// Hot read of ResolveVersion: each kind of reference is one indexed statement, prepared once per connection.
import { sql, type RawBuilder } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { prepare, runPrepared, type PreparedStatement } from '#lib/store/prepared.ts'
import { LATEST, nameKey } from '../../domain/names.ts'
import type { Selector, VersionKey } from '../../domain/refs.ts'
import { findRedirect } from '../models/find-model.ts'
import { Tombstone } from '../models/tombstone.ts'
import { Version } from './version.ts'

/** The columns of a version `v` of the model `m`, with its aliases, under the property names of `Version`. */
export const VERSION_COLUMNS = sql`v.id, v.model_id as model, v.namespace, m.name as "modelName", v.number, v.semver,
  v.digest, v.size_bytes as "sizeBytes", v.file_count as "fileCount", v.state, v.facts, v.creator,
  v.create_time as "createTime", v.description, v.labels, v.model_card as "modelCard",
  (select coalesce(json_agg(a.name order by a.name), '[]') from alias a where a.version_id = v.id) as aliases,
  v.update_time as "updateTime", v.revision`

/** The result of resolving a reference by name. */
export interface ResolvedReference {
  /** Whether the model exists. */
  hasModel: boolean
  /** Whether the alias points, or pointed, at a version. */
  hasAlias: boolean
  version: Version | undefined
  /** The version that the alias pointed at, if it has been deleted since. */
  deleted: Tombstone | undefined
  /** Whether the requested time is in the future. */
  isFuture: boolean
}

interface ResolvedRow extends Omit<Version, 'id'> {
  /** Null when no version matches. */
  id: string | null
  aliasNumber: number | null
  aliasVersionId: string | null
  isFuture: boolean
}

const READ = prepare<Version>(
  'read-version',
  sql`select ${VERSION_COLUMNS} from version v join model m on m.id = v.model_id where v.id = $1`,
)

/** Returns the version without making it managed, for a caller that only presents it. */
export async function readVersion(em: EntityManager, id: string): Promise<Version | undefined> {
  const [version] = await runPrepared(em, READ, [id])
  return version
}

/** Resolves a reference by name. `atTime` selects the version that an alias pointed at then. */
export async function resolveByName(
  em: EntityManager,
  key: Exclude<VersionKey, { id: string }>,
  atTime: string | undefined,
): Promise<ResolvedReference> {
  const statement = statementOf(key.selector, atTime)
  const selected =
    statement === BY.latest ? [] : atTime === undefined ? [key.selector.value] : [key.selector.value, atTime]
  let [row] = await runPrepared(em, statement.byName, [key.namespace, nameKey(key.model), ...selected])
  if (!row) {
    const id = await findRedirect(em, key)
    if (id !== undefined) [row] = await runPrepared(em, statement.byId, ['', id, ...selected])
  }
  if (!row) return { hasModel: false, hasAlias: false, version: undefined, deleted: undefined, isFuture: false }
  const version = hasVersion(row) ? row : undefined
  const deleted = version || row.aliasVersionId === null ? undefined : await findTombstone(em, row.aliasVersionId)
  return { hasModel: true, hasAlias: (row.aliasNumber ?? 0) > 0, version, deleted, isFuture: row.isFuture }
}

function hasVersion(row: ResolvedRow): row is ResolvedRow & Version {
  return row.id !== null
}

async function findTombstone(em: EntityManager, id: string): Promise<Tombstone | undefined> {
  return (await em.findOne(Tombstone, { id, type: 'version' })) ?? undefined
}

interface Statements {
  byName: PreparedStatement<ResolvedRow>
  byId: PreparedStatement<ResolvedRow>
}

const NO_ALIAS = { number: sql`null`, version: sql`null`, future: sql`false` }
const ALIAS = { ...NO_ALIAS, number: sql`x.number`, version: sql`x.version_id` }

/** `$1` and `$2` find the model, `$3` is the selector, `$4` a time. */
function resolveStatements(name: string, join: RawBuilder<unknown>, alias = NO_ALIAS): Statements {
  const select = sql`select ${VERSION_COLUMNS}, ${alias.number}::int as "aliasNumber",
    ${alias.version}::uuid as "aliasVersionId", ${alias.future} as "isFuture" from model m ${join}`
  return {
    byName: prepare(`resolve-${name}`, sql`${select} where m.namespace = $1 and m.name_key = $2`),
    byId: prepare(`resolve-${name}-by-id`, sql`${select} where $1 = '' and m.id = $2::uuid`),
  }
}

const ALIAS_VERSION = sql`left join version v on v.id = x.version_id`

const BY = {
  number: resolveStatements('number', sql`left join version v on v.model_id = m.id and v.number = $3`),
  semver: resolveStatements('semver', sql`left join version v on v.model_id = m.id and v.semver = $3`),
  digest: resolveStatements('digest', sql`left join version v on v.model_id = m.id and v.digest = $3`),
  latest: resolveStatements(
    'latest',
    sql`left join lateral (
      select * from version where model_id = m.id and state = 'READY' order by number desc limit 1) v on true`,
  ),
  alias: resolveStatements(
    'alias',
    sql`left join alias x on x.model_id = m.id and x.name = $3 ${ALIAS_VERSION}`,
    ALIAS,
  ),
  /** The statements that use the last move of the alias before or at the time. */
  aliasAtTime: resolveStatements(
    'alias-at-time',
    sql`left join lateral (
      select to_number as number, version_id from alias_move where model_id = m.id and name = $3
        and move_time <= $4::timestamptz order by move_time desc, id desc limit 1) x on true ${ALIAS_VERSION}`,
    { ...ALIAS, future: sql`$4::timestamptz > clock_timestamp()` },
  ),
}

function statementOf({ kind, value }: Selector, atTime: string | undefined): Statements {
  if (kind !== 'alias') return BY[kind]
  if (value === LATEST) return BY.latest
  return atTime === undefined ? BY.alias : BY.aliasAtTime
}
