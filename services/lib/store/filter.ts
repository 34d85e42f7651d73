// Translation of filters to SQL conditions. Fields come from a fixed table; values are always parameters.
import { sql, type RawBuilder } from 'kysely'
import { failField } from '../errors/errors.ts'
import type { Filter, FilterValue, Operator } from '../lists/filter.ts'

export type Condition = RawBuilder<boolean>

/** A filter as SQL. */
export interface FilterSql {
  /** Follows the table in FROM. It computes once per row what several conditions read, because PostgreSQL evaluates an
   * expression again in each condition: it would decompress a document of megabytes as many times. */
  joined: RawBuilder<unknown>
  condition: Condition
}

/** Matches all rows. */
export const NO_FILTER: FilterSql = { joined: sql``, condition: sql<boolean>`true` }

/** Joins the row of `select` to each row under the name `d`. OFFSET keeps PostgreSQL from copying its expressions into the
 * conditions. */
export function joinOnce(select: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`cross join lateral (${select} offset 0) as d`
}

/** Builds the condition on a field from the path below it (`labels.team` → `['team']`), operator and value. */
export type FilterField = (path: string[], operator: Operator, value: FilterValue) => Condition

/** Fields by name. A name with a dot (`source.commit`) takes precedence over its first part. */
export type FilterFields = Record<string, FilterField>

export function toCondition(filter: Filter, fields: FilterFields): Condition {
  if (filter.kind === 'not') return sql<boolean>`(${toCondition(filter.operand, fields)}) is not true`
  if (filter.kind === 'restriction') return restriction(filter.field, filter.operator, filter.value, fields)
  const operands = filter.operands.map((operand) => sql`(${toCondition(operand, fields)})`)
  return sql<boolean>`${sql.join(operands, filter.kind === 'and' ? sql` and ` : sql` or `)}`
}

/** Whether the filter has a condition on the field `name`. */
export function hasConditionOn(filter: Filter | undefined, name: string): boolean {
  if (filter === undefined) return false
  if (filter.kind === 'restriction') return filter.field[0] === name
  if (filter.kind === 'not') return hasConditionOn(filter.operand, name)
  return filter.operands.some((operand) => hasConditionOn(operand, name))
}

function restriction(path: string[], operator: Operator, value: FilterValue, fields: FilterFields): Condition {
  for (const length of [2, 1]) {
    const name = path.slice(0, length).join('.')
    if (path.length >= length && Object.hasOwn(fields, name)) return fields[name]!(path.slice(length), operator, value)
  }
  failField('filter', `has an unknown field "${path.join('.')}"; use one of ${Object.keys(fields).join(', ')}`)
}

/** A text column. `:` matches a substring, ignoring case. `lowered` is the column in lower case. */
export function textField(column: RawBuilder<unknown>, lowered = sql`lower(${column})`): FilterField {
  return (path, operator, value) => {
    noPath(path)
    if (operator === ':') return sql<boolean>`strpos(${lowered}, lower(${value.text})) > 0`
    return compare(column, operator, sql`${value.text}`)
  }
}

/** A number column. */
export function numberField(column: RawBuilder<unknown>): FilterField {
  return (path, operator, value) => {
    noPath(path)
    return compare(column, operator, sql`${parseNumber(value)}::float8`)
  }
}

/** A time column; the value is RFC 3339. */
export function timeField(column: RawBuilder<unknown>): FilterField {
  return (path, operator, value) => {
    noPath(path)
    return compare(column, operator, sql`${parseTime(value.text)}::timestamptz`)
  }
}

/** A text column with a fixed set of upper-case words, such as a state. */
export function wordField(column: RawBuilder<unknown>, words: readonly string[]): FilterField {
  return (path, operator, value) => {
    noPath(path)
    if (operator !== '=' && operator !== '!=') {
      failField('filter', 'supports only = and != on this field, whose values are fixed')
    }
    const word = value.text.toUpperCase()
    if (!words.includes(word)) failField('filter', `has "${value.text}" where one of ${words.join(', ')} is expected`)
    return compare(column, operator, sql`${word}`)
  }
}

/** A JSONB object of strings: `labels.team = core`. `labels:team` and `labels.team:*` test whether the key exists. */
export function labelsField(column: RawBuilder<unknown>): FilterField {
  return (path, operator, value) => {
    if (path.length === 0 && operator === ':') return sql<boolean>`${column} ? ${value.text}`
    const key = onePath(path)
    if (operator === ':' && value.text === '*') return sql<boolean>`${column} ? ${key}`
    const label = sql`${column} ->> ${key}`
    if (operator === ':') return sql<boolean>`strpos(lower(${label}), lower(${value.text})) > 0`
    return compare(sql`(${label})`, operator, sql`${value.text}`)
  }
}

export function compare(left: RawBuilder<unknown>, operator: Operator, right: RawBuilder<unknown>): Condition {
  switch (operator) {
    case '=':
      return sql<boolean>`${left} = ${right}`
    case '!=':
      return sql<boolean>`${left} is distinct from ${right}`
    case '<':
      return sql<boolean>`${left} < ${right}`
    case '<=':
      return sql<boolean>`${left} <= ${right}`
    case '>':
      return sql<boolean>`${left} > ${right}`
    case '>=':
      return sql<boolean>`${left} >= ${right}`
    default:
      failField('filter', 'does not support : on this field')
  }
}

/** Decimal notation only; `Number` also accepts hexadecimal. */
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

export function parseNumber(value: FilterValue): number {
  const number = Number(value.text)
  if (value.quoted || !DECIMAL.test(value.text) || !Number.isFinite(number)) {
    failField('filter', `has "${value.text}" where a number is expected`)
  }
  return number
}

/** RFC 3339, which has no 24:00. */
const TIME = /^(\d{4}-\d\d-\d\d)(?:(T(?!24)\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d))?$/

/** Returns the time in UTC with microseconds. A date without a time means its beginning. */
function parseTime(text: string): string {
  const [, day = '', clock = 'T00:00:00', fraction = '', zone = 'Z'] = TIME.exec(text) ?? []
  const midnight = new Date(`${day}T00:00:00Z`)
  const time = new Date(`${day}${clock}${zone}`)
  // JavaScript parses 30 February as 2 March.
  const isReal = !Number.isNaN(time.getTime()) && midnight.toISOString().startsWith(day)
  const utc = isReal ? time.toISOString() : ''
  if (!/^(?!0000)\d{4}-/.test(utc)) {
    failField('filter', `has "${text}" where a time like 2026-11-23T04:00:00Z is expected`)
  }
  return `${utc.slice(0, 19)}.${fraction.slice(0, 6).padEnd(6, '0')}Z`
}

/** Joins the rest of a path to one key: `labels.app.kubernetes.io/name` has the key `app.kubernetes.io/name`. */
export function onePath(path: string[]): string {
  if (path.length === 0) failField('filter', 'requires a name after the dot')
  return path.join('.')
}

function noPath(path: string[]): void {
  if (path.length > 0) failField('filter', `has an unknown subfield "${path.join('.')}"`)
}
