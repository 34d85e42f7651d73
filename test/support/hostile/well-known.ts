// Hostile values of the messages in google.protobuf.
import { create, type Message } from '@bufbuild/protobuf'
import {
  DurationSchema,
  FieldMaskSchema,
  StructSchema,
  TimestampSchema,
  ValueSchema,
  type Value,
} from '@bufbuild/protobuf/wkt'
import { LONG_MAX, LONG_MIN, type Verdict } from './values.ts'

interface Attempt {
  what: string
  value: Message
  verdict: Verdict
}

/** Keyed by type, then by the field of that type. */
export const WELL_KNOWN: Record<string, (field: string) => Attempt[]> = {
  'google.protobuf.Timestamp': timestamps,
  'google.protobuf.Duration': durations,
  'google.protobuf.FieldMask': masks,
  'google.protobuf.Value': values,
  'google.protobuf.Struct': structs,
}

const YEAR_1 = -62_135_596_800n
const YEAR_10_000 = 253_402_300_800n

/** The verdict for the first and the last valid timestamp. */
const EDGES: Record<string, [Verdict, Verdict]> = {
  'ResolveVersionRequest.at_time': ['ALIAS_NOT_FOUND', 'refused'],
  'CreateTokenRequest.expire_time': ['refused', 'refused'],
  'Event.occur_time': ['EVENT_ALTERED', 'EVENT_ALTERED'],
  'Run.end_time': ['refused', 'allowed'],
  'Run.start_time': ['allowed', 'refused as facts.run.end_time'],
}

function timestamps(field: string): Attempt[] {
  const at = (what: string, seconds: bigint, nanos: number, verdict: Verdict = 'refused'): Attempt => ({
    what,
    value: create(TimestampSchema, { seconds, nanos }),
    verdict,
  })
  const [first, last] = EDGES[field] ?? ['allowed', 'allowed']
  return [
    at('before the year 1', YEAR_1 - 1n, 0),
    at('in the year 10000', YEAR_10_000, 0),
    at('the least second there is', LONG_MIN, 0),
    at('the greatest second there is', LONG_MAX, 0),
    at('with a second of nanoseconds', 0n, 1_000_000_000),
    at('with negative nanoseconds', 0n, -1),
    at('at the beginning of the year 1', YEAR_1, 0, first),
    at('at the end of the year 9999', YEAR_10_000 - 1n, 999_999_999, last),
  ]
}

function durations(): Attempt[] {
  const of = (what: string, seconds: bigint, nanos = 0, verdict: Verdict = 'refused'): Attempt => ({
    what,
    value: create(DurationSchema, { seconds, nanos }),
    verdict,
  })
  return [
    of('nothing', 0n),
    of('negative', -60n),
    of('the least there is', LONG_MIN),
    of('the greatest there is', LONG_MAX),
    of('with nanoseconds', 60n, 1),
    of('with the wrong sign', 60n, -1),
    of('a second more than may be', 90n * 86_400n + 1n),
    of('all that may be', 90n * 86_400n, 0, 'allowed'),
  ]
}

function masks(): Attempt[] {
  const of = (what: string, ...paths: string[]): Attempt => ({
    what,
    value: create(FieldMaskSchema, { paths }),
    verdict: 'refused',
  })
  return [
    of('of nothing'),
    of('of an empty path', ''),
    of('of a star', '*'),
    of('of what cannot be changed', 'description', 'name'),
    of('of what is no field', 'description', '__proto__'),
    of('of a NUL', 'description\0'),
    of('of a field in upper case', 'DESCRIPTION'),
    of('of a long path', 'x'.repeat(70_000)),
    of('of SQL', `description = ''; --`),
  ]
}

function nested(depth: number): Value {
  const inner = depth === 0 ? [] : [nested(depth - 1)]
  return create(ValueSchema, { kind: { case: 'listValue', value: { values: inner } } })
}

type Kind = Exclude<Value['kind'], { case: undefined }>

function values(): Attempt[] {
  const of = (what: string, kind: Kind, verdict: Verdict = 'refused'): Attempt => ({
    what,
    value: create(ValueSchema, { kind }),
    verdict,
  })
  const field = (name: string, item: Value) => ({
    case: 'structValue' as const,
    value: { $typeName: 'google.protobuf.Struct' as const, fields: { [name]: item } },
  })
  const one = create(ValueSchema, { kind: { case: 'numberValue', value: 1 } })
  return [
    { what: 'without a kind', value: create(ValueSchema), verdict: 'refused' },
    of('null', { case: 'nullValue', value: 0 }),
    of('not a number', { case: 'numberValue', value: Number.NaN }),
    of('infinite', { case: 'numberValue', value: -Infinity }),
    of('the greatest number there is', { case: 'numberValue', value: Number.MAX_VALUE }, 'allowed'),
    of('a text with NUL', { case: 'stringValue', value: 'a\0' }),
    of('a text that is too long', { case: 'stringValue', value: 'x'.repeat(8193) }),
    of('a name with NUL', field('\0', one)),
    of('a name that is SQL', field(`'; drop table metadata.version; --`, one), 'allowed'),
    of('a name that objects have', field('__proto__', one), 'allowed'),
    { what: 'nested deeply', value: nested(40), verdict: 'refused' },
  ]
}

function structs(): Attempt[] {
  const one = (kind: Kind): Message => create(StructSchema, { fields: { note: create(ValueSchema, { kind }) } })
  return [
    { what: 'with what is no number', value: one({ case: 'numberValue', value: Number.NaN }), verdict: 'refused' },
    {
      what: 'with a value without a kind',
      value: create(StructSchema, { fields: { note: create(ValueSchema) } }),
      verdict: 'EVENT_ALTERED',
    },
    {
      what: 'of two megabytes',
      value: one({ case: 'stringValue', value: 'x'.repeat(2 ** 21) }),
      verdict: 'refused as events[0]',
    },
  ]
}
