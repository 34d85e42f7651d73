// Reads values of unknown JSON, and names values in verdicts.

export type Fields = Readonly<Record<string, unknown>>

const NO_FIELDS: Fields = {}
/** The depth of the deepest event that a rule reads. */
const MAX_DEPTH = 4

/** Returns an empty string for anything but text, as canonical JSON omits empty values. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Returns a time in milliseconds, or `fallback` if the value is no time. */
export function timeOf(value: unknown, fallback: number): number {
  const time = typeof value === 'string' ? Date.parse(value) : NaN
  return Number.isNaN(time) ? fallback : time
}

export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : NO_FIELDS
}

/** Returns the named fields. Fields that are nested too deeply are left out. */
export function pick(fields: Fields, names: readonly string[]): Fields {
  let picked: Record<string, unknown> | undefined
  for (const name of names) {
    const value = fields[name]
    if (value !== undefined && isShallow(value, MAX_DEPTH)) (picked ??= {})[name] = value
  }
  return picked ?? NO_FIELDS
}

function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return depth > 0 && Object.values(value).every((child) => isShallow(child, depth - 1))
}

/** Names a private value in a verdict: `"reason" of entry 10`. */
export function valueName(index: number | string, field: string): string {
  return `"${field}" of entry ${index}`
}

/** Formats a value for a verdict. */
export function formatValue(value: unknown): string {
  if (value === undefined) return 'nothing'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
