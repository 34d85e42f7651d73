// The filter on versions. In the SQL, the version is `v`, and its documents are `d`.
import { sql, type RawBuilder } from 'kysely'
import { failField } from '#lib/errors/errors.ts'
import type { Filter, FilterValue, Operator } from '#lib/lists/filter.ts'
import {
  compare,
  joinOnce,
  labelsField,
  hasConditionOn,
  NO_FILTER,
  numberField,
  onePath,
  parseNumber,
  textField,
  timeField,
  toCondition,
  wordField,
  type Condition,
  type FilterField,
  type FilterFields,
  type FilterSql,
} from '#lib/store/filter.ts'

/** A text field without `<` and `>`, because the order of its values has no meaning. */
function unorderedField(column: RawBuilder<unknown>, name: string): FilterField {
  const field = textField(column)
  return (path, operator, value) => {
    if (!['=', '!=', ':'].includes(operator)) failField('filter', `supports only =, != and : on ${name}`)
    return field(path, operator, value)
  }
}

/** A text field of the rows that belong to a version. It matches if one of the rows does; `!=` matches if none is
 * equal. */
function anyRowField(rows: RawBuilder<unknown>, column: RawBuilder<unknown>): FilterField {
  const field = textField(column)
  return (path, operator, value) => {
    if (operator === '!=') return sql<boolean>`not exists (${rows} and ${field(path, '=', value)})`
    if (operator === ':' && value.text === '*' && path.length === 0) return sql<boolean>`exists (${rows})`
    return sql<boolean>`exists (${rows} and ${field(path, operator, value)})`
  }
}

const metricField: FilterField = (path, operator, value) => {
  const named = sql`select from version_metric f where f.version_id = v.id and f.name = ${metricName(path, operator, value)}`
  if (operator === ':') {
    if (path.length > 0 && value.text !== '*') failField('filter', 'supports : on a metric only as metrics.<name>:*')
    return sql<boolean>`exists (${named})`
  }
  const number = sql`${parseNumber(value)}::float8`
  if (operator === '!=') return sql<boolean>`not exists (${named} and f.value = ${number})`
  return sql<boolean>`exists (${named} and ${compare(sql`f.value`, operator, number)})`
}

/** Returns the name of the metric in `metrics.f1 > 0.9` or `metrics:f1`. */
function metricName(path: string[], operator: Operator, value: FilterValue): string {
  return path.length === 0 && operator === ':' ? value.text : onePath(path)
}

/** Compares a parameter that is a number with an unquoted number as numbers; compares everything else as text. */
const parameterField: FilterField = (path, operator, value) => {
  if (path.length === 0 && operator === ':') return sql<boolean>`jsonb_exists(d.parameters, ${value.text})`
  const name = onePath(path)
  if (operator === ':' && value.text === '*') return sql<boolean>`jsonb_exists(d.parameters, ${name})`
  const text = sql`(d.parameters ->> ${name})`
  if (operator === ':') return sql<boolean>`strpos(lower(${text}), lower(${value.text})) > 0`
  if (value.quoted || value.text.trim() === '' || !Number.isFinite(Number(value.text))) {
    return compare(text, operator, sql`${value.text}`)
  }
  return compareNumber(name, operator, Number(value.text))
}

function compareNumber(name: string, operator: Operator, number: number): Condition {
  const parameter = sql`(d.parameters -> ${name})`
  const value = sql`(case when jsonb_typeof(${parameter}) = 'number' then ${parameter}::float8 end)`
  return compare(value, operator, sql`${number}::float8`)
}

function factsText(path: string): RawBuilder<unknown> {
  return sql`coalesce(d.facts #>> ${path}::text[], '')`
}

const ALIASES = sql`select from alias f where f.version_id = v.id`

const DATASET_NAMES = sql`select from unnest(d.dataset_names) as f(value) where true`
const DATASET_DIGESTS = sql`select from unnest(d.dataset_digests) as f(value) where true`

const VERSION_FIELDS: FilterFields = {
  number: numberField(sql`v.number`),
  semver: unorderedField(sql`coalesce(v.semver, '')`, 'semver'),
  digest: unorderedField(sql`v.digest`, 'digest'),
  state: wordField(sql`v.state`, ['READY']),
  creator: textField(sql`v.creator`),
  create_time: timeField(sql`v.create_time`),
  update_time: timeField(sql`v.update_time`),
  size_bytes: numberField(sql`v.size_bytes`),
  license: textField(factsText('{license}')),
  alias: anyRowField(ALIASES, sql`f.name`),
  labels: labelsField(sql`d.labels`),
  parameters: parameterField,
  metrics: metricField,
  'source.repository': textField(factsText('{source,repository}')),
  'source.commit': textField(factsText('{source,commit}')),
  'datasets.name': anyRowField(DATASET_NAMES, sql`f.value`),
  'datasets.digest': anyRowField(DATASET_DIGESTS, sql`f.value`),
}

/** The documents of a version, decompressed once, and the fields that read them. */
const DOCUMENTS: { columns: RawBuilder<unknown>; fields: string[] }[] = [
  { columns: sql`v.facts || '{}' as facts`, fields: ['license', 'source'] },
  { columns: sql`v.parameters || '{}' as parameters`, fields: ['parameters'] },
  { columns: sql`v.labels || '{}' as labels`, fields: ['labels'] },
  {
    columns: sql`array(select jsonb_array_elements(v.facts -> 'datasets') ->> 'name') as dataset_names,
      array(select jsonb_array_elements(v.facts -> 'datasets') ->> 'digest') as dataset_digests`,
    fields: ['datasets'],
  },
]

export function toVersionSql(filter: Filter): FilterSql {
  const read = DOCUMENTS.filter(({ fields }) => fields.some((field) => hasConditionOn(filter, field)))
  const columns = read.map((document) => document.columns)
  const joined = columns.length === 0 ? NO_FILTER.joined : joinOnce(sql`select ${sql.join(columns)}`)
  return { joined, condition: toCondition(filter, VERSION_FIELDS) }
}
