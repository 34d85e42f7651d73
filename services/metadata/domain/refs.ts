// References to models and versions: parsed from requests, formatted for messages.
import { failField } from '#lib/errors/errors.ts'
import { parseDigest, parseUuid } from '#lib/values/ids.ts'
import { parseModelName, parseNamespace, parseNumber, parseSelectorAlias, parseSemver } from './names.ts'

/** A reference to a model, by id or by namespace and name. */
export type ModelKey = { id: string } | { namespace: string; model: string }

export type Selector =
  | { kind: 'number'; value: number }
  | { kind: 'alias'; value: string }
  | { kind: 'semver'; value: string }
  | { kind: 'digest'; value: string }

export type VersionKey = { id: string } | { namespace: string; model: string; selector: Selector }

export type ExactVersionKey = { id: string } | { namespace: string; model: string; number: number }

interface IdOrName<Name> {
  ref: { case: 'id'; value: string } | { case: 'name'; value: Name } | { case: undefined }
}

interface Selectors {
  selector:
    | { case: 'number'; value: number }
    | { case: 'alias' | 'semver' | 'digest'; value: string }
    | { case: undefined }
}

interface Named {
  namespace: string
  model: string
}

export function parseModelRef(given: IdOrName<Named> | undefined, field: string): ModelKey {
  const ref = requireRef(given, field)
  if (ref.case === 'id') return { id: parseUuid(ref.value, `${field}.id`) }
  return parseNamed(ref.value, `${field}.name`)
}

export function parseVersionRef(given: IdOrName<Named & Selectors> | undefined, field: string): VersionKey {
  const ref = requireRef(given, field)
  if (ref.case === 'id') return { id: parseUuid(ref.value, `${field}.id`) }
  const selector = parseSelector(ref.value, `${field}.name`)
  return { ...parseNamed(ref.value, `${field}.name`), selector }
}

export function parseExactVersionRef(
  given: IdOrName<Named & { number: number }> | undefined,
  field: string,
): ExactVersionKey {
  const ref = requireRef(given, field)
  if (ref.case === 'id') return { id: parseUuid(ref.value, `${field}.id`) }
  const number = parseNumber(ref.value.number, `${field}.name.number`)
  return { ...parseNamed(ref.value, `${field}.name`), number }
}

function requireRef<Name>(
  given: IdOrName<Name> | undefined,
  field: string,
): { case: 'id'; value: string } | { case: 'name'; value: Name } {
  if (!given) failField(field, 'is required')
  if (given.ref.case === undefined) failField(field, 'must have id or name')
  return given.ref
}

function parseNamed({ namespace, model }: Named, field: string): Named {
  return { namespace: parseNamespace(namespace, `${field}.namespace`), model: parseModelName(model, `${field}.model`) }
}

function parseSelector({ selector }: Selectors, field: string): Selector {
  switch (selector.case) {
    case 'number':
      return { kind: 'number', value: parseNumber(selector.value, `${field}.number`) }
    case 'alias':
      return { kind: 'alias', value: parseSelectorAlias(selector.value, `${field}.alias`) }
    case 'semver':
      return { kind: 'semver', value: parseSemver(selector.value, `${field}.semver`) }
    case 'digest':
      return { kind: 'digest', value: parseDigest(selector.value, `${field}.digest`) }
    default:
      failField(field, 'must have number, alias, semver or digest')
  }
}

/** Returns `fraud/scorer`, or the id. */
export function formatModelKey(key: ModelKey): string {
  return 'id' in key ? key.id : `${key.namespace}/${key.model}`
}

/** Returns `fraud/scorer:7`, `fraud/scorer@production`, `fraud/scorer@sha256:…`, or the id. */
export function formatVersionKey(key: VersionKey | ExactVersionKey): string {
  if ('id' in key) return key.id
  const model = `${key.namespace}/${key.model}`
  if ('number' in key) return `${model}:${key.number}`
  const { kind, value } = key.selector
  return kind === 'number' || kind === 'semver' ? `${model}:${value}` : `${model}@${value}`
}
