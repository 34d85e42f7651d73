// The fields of filters over the log.
import { sql, type RawBuilder } from 'kysely'
import { failField } from '#lib/errors/errors.ts'
import { parseFilter } from '#lib/lists/filter.ts'
import {
  compare,
  joinOnce,
  hasConditionOn,
  NO_FILTER,
  textField,
  timeField,
  toCondition,
  wordField,
  type Condition,
  type FilterField,
  type FilterFields,
  type FilterSql,
} from '#lib/store/filter.ts'

/** The reason is a private value; entries from before private values have it in their own column. */
const REASON = sql`select text, lower(text) as lowered from (
  select coalesce((select value::jsonb #>> '{}' from private_value
    where private_value.index = entry.index and field = 'reason'), entry.reason) as text offset 0) as reason`

const FIELDS: FilterFields = {
  index: indexField,
  type: textField(sql`type`),
  producer: exactField(sql`producer`),
  actor: exactField(sql`actor`),
  outcome: wordField(sql`outcome`, ['SUCCEEDED', 'DENIED']),
  reason: textField(sql`d.text`, sql`d.lowered`),
  request_id: exactField(sql`request_id`),
  occur_time: timeField(sql`occur_time`),
  record_time: timeField(sql`record_time`),
  namespace: exactField(sql`namespace`),
  'resource.type': exactField(sql`resource_type`),
  'resource.id': exactField(sql`resource_id`),
  'resource.name': textField(sql`resource_name`),
  'resource.digest': exactField(sql`resource_digest`),
}

/** Returns undefined for an empty filter. Throws FIELD_INVALID or LIMIT_EXCEEDED. */
export function parseEntryFilter(text: string): FilterSql | undefined {
  const filter = parseFilter(text)
  if (!filter) return undefined
  const joined = hasConditionOn(filter, 'reason') ? joinOnce(REASON) : NO_FILTER.joined
  return { joined, condition: toCondition(filter, FIELDS) }
}

/** A text column that is compared, never searched. */
function exactField(column: RawBuilder<unknown>): FilterField {
  const field = textField(column)
  return (path, operator, value) =>
    operator === ':' ? compare(column, operator, sql`${value.text}`) : field(path, operator, value)
}

function indexField(
  path: string[],
  operator: Parameters<FilterField>[1],
  value: Parameters<FilterField>[2],
): Condition {
  if (path.length > 0) failField('filter', `has no field below "index", but names "${path.join('.')}"`)
  if (!/^\d{1,15}$/.test(value.text)) failField('filter', `has "${value.text}" where a whole number is needed`)
  return compare(sql`index`, operator, sql`${value.text}::bigint`)
}
