// Values out of JSON that anybody may have written.

export type Fields = Readonly<Record<string, unknown>>

const NO_FIELDS: Fields = {}
/** As deep as any event goes that rules read. */
const MAX_DEPTH = 4

/** Empty where it is no text: canonical JSON leaves out what is empty. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** In milliseconds. `otherwise`: where it is no time. */
export function timeOf(value: unknown, otherwise: number): number {
  const time = typeof value === 'string' ? Date.parse(value) : NaN
  return Number.isNaN(time) ? otherwise : time
}

export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : NO_FIELDS
}

/** Those of the names that there are. What goes deeper than it should is left out. */
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
  return depth > 0 && Object.values(value).every((one) => isShallow(one, depth - 1))
}

/** Names a private value in a verdict: `"reason" of entry 10`. */
export function valueName(index: number | string, field: string): string {
  return `"${field}" of entry ${index}`
}

/** Formats a value for a verdict. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
