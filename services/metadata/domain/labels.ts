import { failField, failLimit } from '#lib/errors/errors.ts'
import { countCharacters, isLine, parseLine } from './text.ts'

const MAX_LABELS = 64
const MAX_KEY_CHARACTERS = 63
const MAX_VALUE_CHARACTERS = 255

export function parseLabels(labels: Record<string, string>, field = 'labels'): Record<string, string> {
  if (Object.keys(labels).length > MAX_LABELS) failLimit(field, MAX_LABELS, 'labels')
  for (const [key, value] of Object.entries(labels)) {
    if (key === '') failField(field, 'must not have an empty key')
    if (countCharacters(key) > MAX_KEY_CHARACTERS) failLimit(field, MAX_KEY_CHARACTERS, 'characters in a key')
    if (!isLine(key)) failField(field, 'must have keys of one line of Unicode text without control characters')
    parseLine(value, `${field}["${key}"]`, MAX_VALUE_CHARACTERS)
  }
  return labels
}
