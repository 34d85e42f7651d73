import { failField, failLimit } from '#lib/errors/errors.ts'

export const DEFAULT_NAMESPACE = 'default'
/** The computed alias, which points at the READY version with the highest number. */
export const LATEST = 'latest'

const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,62}$/
const MODEL = /^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,126}[A-Za-z0-9])?$/
const ALIAS = /^[A-Za-z0-9][\w.-]{0,127}$/
const MAX_SEMVER_LENGTH = 255
/** The pattern that semver.org recommends. */
const SEMVER =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$/

/** Parses the name of a namespace. An empty name is `default`. */
export function parseNamespace(name: string, field: string): string {
  return name === '' ? DEFAULT_NAMESPACE : parseNamespaceName(name, field)
}

export function parseNamespaceName(name: string, field: string): string {
  if (name === '') failField(field, 'is required')
  if (!NAMESPACE.test(name)) {
    failField(field, 'must be 1 to 63 characters: a-z, 0-9 and "-", the first a letter or digit')
  }
  return name
}

export function parseModelName(name: string, field: string): string {
  if (name === '') failField(field, 'is required')
  if (!MODEL.test(name)) {
    failField(field, 'must be 1 to 128 characters: letters, digits, space . _ -, first and last a letter or digit')
  }
  return name
}

/** Returns the key that is equal for two model names which differ only in case. */
export function nameKey(name: string): string {
  return name.normalize('NFC').toLowerCase()
}

/** Parses the name of an alias that can be set, which excludes `latest`. */
export function parseAliasName(name: string, field: string): string {
  if (name === LATEST) failField(field, 'must not be "latest", which is computed')
  return parseSelectorAlias(name, field)
}

/** Parses the name of an alias to resolve, which may be `latest`. */
export function parseSelectorAlias(name: string, field: string): string {
  if (name === '') failField(field, 'is required')
  if (!ALIAS.test(name)) {
    failField(field, 'must be 1 to 128 characters: letters, digits . _ -, the first a letter or digit')
  }
  if (/^v?\d+$/.test(name)) failField(field, 'must not look like a version number, for example 7 or v7')
  return name
}

export function parseSemver(semver: string, field: string): string {
  if (semver.length > MAX_SEMVER_LENGTH) failLimit(field, MAX_SEMVER_LENGTH, 'characters')
  if (!SEMVER.test(semver)) failField(field, 'must be a version by Semantic Versioning 2.0.0, for example 1.2.0-rc.1')
  return semver
}

export function parseNumber(number: number, field: string): number {
  if (number < 1) failField(field, 'must be at least 1')
  return number
}
