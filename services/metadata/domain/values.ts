import type { Value } from '@bufbuild/protobuf/wkt'
import { failField, failLimit } from '#lib/errors/errors.ts'

const MAX_VALUE_BYTES = 8192
const MAX_VALUE_DEPTH = 32

export type PlainValue = string | number | boolean | PlainValue[] | { [name: string]: PlainValue }

/** Converts the value of a parameter to plain JSON. Null is rejected at any depth. */
export function parseValue(value: Value | undefined, field: string): PlainValue {
  if (!value) failField(field, 'is required')
  const plain = toPlain(value, field, 0)
  if (Buffer.byteLength(JSON.stringify(plain)) > MAX_VALUE_BYTES) failLimit(field, MAX_VALUE_BYTES, 'bytes as JSON')
  return plain
}

function toPlain({ kind }: Value, field: string, depth: number): PlainValue {
  if (depth > MAX_VALUE_DEPTH) failField(field, `must not nest deeper than ${MAX_VALUE_DEPTH}`)
  switch (kind.case) {
    case 'stringValue':
      return parsePlainText(kind.value, field)
    case 'numberValue':
      if (!Number.isFinite(kind.value)) failField(field, 'must contain only finite numbers')
      return kind.value
    case 'boolValue':
      return kind.value
    case 'listValue':
      return kind.value.values.map((item) => toPlain(item, field, depth + 1))
    case 'structValue': {
      const entries = Object.entries(kind.value.fields)
      return Object.fromEntries(
        entries.map(([name, item]) => [parsePlainText(name, field), toPlain(item, field, depth + 1)]),
      )
    }
    default:
      failField(field, 'must be a string, number, boolean, list or object without null')
  }
}

function parsePlainText(text: string, field: string): string {
  if (text.includes('\0') || !text.isWellFormed()) failField(field, 'must contain only Unicode text without NUL')
  return text
}
