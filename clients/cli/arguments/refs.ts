// Parses references: `[namespace/]model`, `…:7`, `…:1.2.0`, `…@champion`, `…@sha256:<hex>`, `…@latest`, or a UUID.
import type { MessageInitShape } from '@bufbuild/protobuf'
import { isUuid } from '#lib/values/ids.ts'
import type { ExactVersionRefSchema, ModelRefSchema, VersionRefSchema } from '#gen/modelkeep/metadata/v1/ref_pb.ts'
import { failUsage } from '../terminal/cli-error.ts'

export type ModelRef = MessageInitShape<typeof ModelRefSchema>
export type VersionRef = MessageInitShape<typeof VersionRefSchema>
export type ExactVersionRef = MessageInitShape<typeof ExactVersionRefSchema>

export type Selector =
  | { case: 'number'; value: number }
  | { case: 'alias'; value: string }
  | { case: 'semver'; value: string }
  | { case: 'digest'; value: string }

export type Ref = { id: string } | { namespace: string; model: string; selector: Selector | undefined }

const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,62}$/
const MODEL = /^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,126}[A-Za-z0-9])?$/
const ALIAS = /^[A-Za-z0-9][\w.-]{0,127}$/
const DIGEST = /^sha256:[0-9a-f]{64}$/
const SEMVER = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/
const MAX_NUMBER = 2 ** 31 - 1
const FORMS = 'Write [namespace/]model, model:7, model@champion, model@latest, model@sha256:<hex> or a UUID.'

export function parseRef(text: string, defaultNamespace = 'default'): Ref {
  if (isUuid(text)) return { id: text.toLowerCase() }
  const { name, selector } = splitSelector(text)
  const [first = '', second, ...more] = name.split('/')
  if (more.length > 0) failUsage(`reference "${text}" has more than one slash`, FORMS)
  const namespace = second === undefined ? defaultNamespace : first
  const model = second ?? first
  if (!NAMESPACE.test(namespace)) {
    failUsage(
      `namespace "${namespace}" is invalid; use lower-case letters, digits and hyphens, at most 63 characters`,
      FORMS,
    )
  }
  if (!MODEL.test(model)) {
    failUsage(`model name "${model}" is invalid; use 1 to 128 letters, digits, spaces, ".", "_" or "-"`, FORMS)
  }
  return { namespace, model, selector }
}

function splitSelector(text: string): { name: string; selector: Selector | undefined } {
  const at = text.search(/[:@]/)
  if (at === -1) return { name: text, selector: undefined }
  const value = text.slice(at + 1)
  const selector = text[at] === ':' ? parseNumberOrSemver(text, value) : parseAliasOrDigest(text, value)
  return { name: text.slice(0, at), selector }
}

function parseNumberOrSemver(text: string, value: string): Selector {
  if (/^\d+$/.test(value)) return { case: 'number', value: parseNumber(value, text) }
  if (SEMVER.test(value)) return { case: 'semver', value }
  failUsage(`reference "${text}" has no version number or semver after the colon`, FORMS)
}

function parseAliasOrDigest(text: string, value: string): Selector {
  if (DIGEST.test(value)) return { case: 'digest', value }
  if (value.startsWith('sha256:'))
    failUsage(`reference "${text}" has an invalid digest; write sha256: and 64 lower-case hex digits`, FORMS)
  if (ALIAS.test(value)) return { case: 'alias', value }
  failUsage(`reference "${text}" has no alias, "latest" or digest after @`, FORMS)
}

/** Parses a version number, which is at least 1. `text`: the reference that an error names. */
export function parseNumber(value: string, text = value): number {
  const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN
  if (number >= 1 && number <= MAX_NUMBER) return number
  failUsage(`version number in "${text}" is not between 1 and ${MAX_NUMBER}`)
}

/** Parses a reference to a model, which has no selector. */
export function parseModelRef(text: string, defaultNamespace?: string): ModelRef {
  const ref = parseRef(text, defaultNamespace)
  if ('id' in ref) return { ref: { case: 'id', value: ref.id } }
  if (ref.selector) failUsage(`reference "${text}" names a version; name the model: ${ref.model}`)
  return modelRef(ref.namespace, ref.model)
}

export function modelRef(namespace: string, model: string): ModelRef {
  return { ref: { case: 'name', value: { namespace, model } } }
}

/** Parses a reference to a version. A model alone is rejected, as `@latest` must be explicit. */
export function parseVersionRef(text: string, defaultNamespace?: string): VersionRef {
  const ref = parseRef(text, defaultNamespace)
  if ('id' in ref) return { ref: { case: 'id', value: ref.id } }
  if (!ref.selector) failUsage(`reference "${text}" names a model, not a version`, `Try ${text}@latest or ${text}:1.`)
  const { namespace, model, selector } = ref
  return { ref: { case: 'name', value: { namespace, model, selector } } }
}

/** Parses a version by number or UUID, which changes require. */
export function parseExactRef(text: string, defaultNamespace?: string): ExactVersionRef {
  const ref = parseRef(text, defaultNamespace)
  if ('id' in ref) return { ref: { case: 'id', value: ref.id } }
  const { namespace, model, selector } = ref
  if (selector?.case !== 'number') {
    failUsage(
      `reference "${text}" is not an exact version; an alias may move before the change`,
      `Find the number with: modelkeep resolve ${text}`,
    )
  }
  return { ref: { case: 'name', value: { namespace, model, number: selector.value } } }
}

/** Parses `[namespace/]model@alias`. */
export function parseAliasRef(
  text: string,
  defaultNamespace?: string,
): { namespace: string; model: string; alias: string } {
  const ref = parseRef(text, defaultNamespace)
  if ('id' in ref || ref.selector?.case !== 'alias') {
    failUsage(
      `reference "${text}" does not name an alias`,
      'Write [namespace/]model@alias, for example vad@production.',
    )
  }
  return { namespace: ref.namespace, model: ref.model, alias: ref.selector.value }
}
