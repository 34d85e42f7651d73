// Names of namespaces. Only the metadata service knows which of them exist; here the caller needs a role in the namespace.
import { failField } from '#lib/errors/errors.ts'

const DEFAULT_NAMESPACE = 'default'
const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,62}$/

/** Empty means `default`. */
export function parseNamespace(name: string, field: string): string {
  if (name === '') return DEFAULT_NAMESPACE
  if (!NAMESPACE.test(name)) {
    failField(field, 'must be 1 to 63 characters, lower-case letters, digits and -, the first a letter or digit')
  }
  return name
}
