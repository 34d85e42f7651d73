// Parses the facts of a version from the options of `push`.
import type { JsonObject, JsonValue, MessageInitShape } from '@bufbuild/protobuf'
import type { ParentRelation, VersionFactsSchema } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { failUsage } from '../terminal/cli-error.ts'

export type Facts = MessageInitShape<typeof VersionFactsSchema>
type Item<K extends keyof Facts> = NonNullable<Facts[K]> extends (infer T)[] ? T : NonNullable<Facts[K]>

const DATASET_ROLES = { train: 1, validation: 2, test: 3 } as const
const RELATIONS = { 'fine-tuned': 1, distilled: 2, quantized: 3, merged: 4 } as const
const TIME = /^(\d{4}-\d\d-\d\d)([T ]\d\d:\d\d:\d\d)?(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?$/i
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/

/** Splits `name=value` at the first `=`. */
export function splitPair(text: string, option: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) failUsage(`${option} "${text}" is invalid; write name=value`)
  return [text.slice(0, at), text.slice(at + 1)]
}

/** Parses `true`, `false`, numbers, and JSON objects, lists and quoted strings. Everything else is a string. */
export function parseParameter(text: string): { name: string; value: JsonValue } {
  const [name, value] = splitPair(text, '--param')
  return { name, value: parseTyped(value, text) }
}

function parseTyped(value: string, text: string): JsonValue {
  if (value === 'true' || value === 'false') return value === 'true'
  if (NUMBER.test(value) && Number.isFinite(Number(value))) return Number(value)
  if (!/^[[{"]/.test(value)) return value
  try {
    return JSON.parse(value) as JsonValue
  } catch (error) {
    failUsage(`--param "${text}" is not valid JSON: ${(error as Error).message}`)
  }
}

/** Parses `auc=0.94` or `auc=0.94,dataset=loans,split=test`. */
export function parseMetric(text: string): Item<'metrics'> {
  const [first = '', ...rest] = text.split(',')
  const [name, value] = splitPair(first, '--metric')
  if (!NUMBER.test(value)) failUsage(`--metric "${text}": "${value}" is not a number`)
  const extra = parseFields(rest, ['dataset', 'split'], '--metric', text)
  return { name, value: Number(value), ...extra }
}

/** Parses `name=loans,digest=sha256:…,uri=s3://…,role=train`. */
export function parseDataset(text: string): Item<'datasets'> {
  if (!text.includes('=')) failUsage(`--dataset "${text}" is invalid; write name=${text},digest=…`)
  const { name, role, ...rest } = parseFields(splitFields(text), ['name', 'digest', 'uri', 'role'], '--dataset', text)
  if (!name) failUsage(`--dataset "${text}" has no name; add name=…`)
  return { name, ...rest, ...(role === undefined ? {} : { role: pick(role, DATASET_ROLES, '--dataset role') }) }
}

/** Parses `id=…,uri=…,framework=…,framework-version=…,start=<time>,end=<time>`. */
export function parseRun(text: string): { fields: Item<'run'>; start?: Time; end?: Time } {
  const names = ['id', 'uri', 'framework', 'framework-version', 'start', 'end']
  const {
    'framework-version': frameworkVersion,
    start,
    end,
    ...fields
  } = parseFields(splitFields(text), names, '--run', text)
  return {
    fields: { ...fields, ...(frameworkVersion === undefined ? {} : { frameworkVersion }) },
    ...(start === undefined ? {} : { start: parseTime(start, '--run start') }),
    ...(end === undefined ? {} : { end: parseTime(end, '--run end') }),
  }
}

/** Parses `name==1.2`, `name>=1`, `name@1.2` or a name alone. */
export function parseDependency(text: string): Item<'dependencies'> {
  const match = /^([^=<>~!@\s]+|@[^=<>~!@\s]+)\s*(==|@|(?=[<>~!=]))?\s*(.*)$/.exec(text)
  if (!match?.[1]) failUsage(`--dependency "${text}" is invalid; write name==version`)
  return { name: match[1], version: match[3] ?? '' }
}

/** Parses `relation=<ref>` or `<ref>:<relation>`. The reference may contain colons itself. */
export function parseParent(text: string): { ref: string; relation: ParentRelation } {
  const pair = /^([a-z-]+)=(.+)$/.exec(text)
  const at = text.lastIndexOf(':')
  const [ref, relation] = pair ? [pair[2]!, pair[1]!] : [text.slice(0, Math.max(at, 0)), text.slice(at + 1)]
  if (!ref) failUsage(`--parent "${text}" is invalid; write fine-tuned=vad:1`)
  return { ref, relation: pick(relation.replace('quantised', 'quantized'), RELATIONS, '--parent relation') }
}

/** Parses `<url>@<commit>`, optionally followed by `#path`. */
export function parseSource(text: string): Item<'source'> {
  const [address = '', path] = text.split('#', 2)
  const at = address.lastIndexOf('@')
  const hasCommit = at > address.lastIndexOf('/') && at > 0
  const repository = hasCommit ? address.slice(0, at) : address
  if (hasCommit && at === address.length - 1) failUsage(`--source "${text}" has no commit after @`)
  return { repository, ...(hasCommit ? { commit: address.slice(at + 1) } : {}), ...(path ? { path } : {}) }
}

/** Parses `{"inputs": [{"name": …, "dataType": …, "shape": […]}], "outputs": […]}`. */
export function parseSignature(json: string, file: string): JsonObject {
  try {
    const value = JSON.parse(json) as JsonValue
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch (error) {
    failUsage(`--signature ${file} is not JSON: ${(error as Error).message}`)
  }
  failUsage(`--signature ${file} is not an object with inputs and outputs`)
}

/** A time with the microseconds that the registry stores. */
export interface Time {
  seconds: bigint
  nanos: number
}

/** Parses RFC 3339. A date alone means its first instant, and a time without a zone is in UTC, as the command prints it. */
export function parseTime(text: string, option: string): Time {
  const [, date, clock = 'T00:00:00', fraction = '', zone = 'Z'] = TIME.exec(text) ?? []
  const milliseconds = Date.parse(`${date}${clock.replace(' ', 'T')}${zone.toUpperCase()}`)
  if (Number.isNaN(milliseconds)) {
    failUsage(`${option} "${text}" is not a time`, 'Write it like 2026-11-23T05:40:00Z.')
  }
  return { seconds: BigInt(milliseconds / 1000), nanos: Number(fraction.padEnd(9, '0')) }
}

function splitFields(text: string): string[] {
  return text.split(/,(?=[a-z-]+=)/)
}

function parseFields(parts: string[], names: string[], option: string, text: string): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const part of parts) {
    const [name, value] = splitPair(part, option)
    if (!names.includes(name)) failUsage(`${option} "${text}" has an unknown field "${name}"; use ${names.join(', ')}`)
    if (name in fields) failUsage(`${option} "${text}" has ${name} twice`)
    fields[name] = value
  }
  return fields
}

function pick<T extends Record<string, number>>(text: string, values: T, what: string): T[keyof T] {
  const found = Object.hasOwn(values, text) ? values[text as keyof T] : undefined
  if (found === undefined) failUsage(`${what} "${text}" is unknown; use ${Object.keys(values).join(', ')}`)
  return found
}
