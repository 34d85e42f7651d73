import { failField, failLimit } from '#lib/errors/errors.ts'

export const MAX_DESCRIPTION_BYTES = 65_536
export const MAX_REASON_BYTES = 2048
export const MAX_FILTER_BYTES = 2048
const MAX_OWNER_CHARACTERS = 255

/** Parses text of any number of lines, for example Markdown. The limit is in bytes of UTF-8. */
export function parseText(text: string, field: string, maxBytes: number): string {
  if (Buffer.byteLength(text) > maxBytes) failLimit(field, maxBytes, 'bytes')
  if (text.includes('\0') || !text.isWellFormed()) failField(field, 'must be Unicode text without NUL')
  return text
}

/** Parses text of one line. The limit is in Unicode code points. */
export function parseLine(text: string, field: string, maxCharacters: number): string {
  if (countCharacters(text) > maxCharacters) failLimit(field, maxCharacters, 'characters')
  if (!isLine(text)) failField(field, 'must be one line of Unicode text without control characters')
  return text
}

/** Parses text of one line that is not empty. */
export function parseRequiredLine(text: string, field: string, maxCharacters: number): string {
  if (text === '') failField(field, 'is required')
  return parseLine(text, field, maxCharacters)
}

export function parseReason(reason: string): string {
  return parseText(reason, 'reason', MAX_REASON_BYTES)
}

/** Parses the reason of a decision, which must not be blank. */
export function parseRequiredReason(reason: string): string {
  if (reason.trim() === '') failField('reason', 'is required')
  return parseReason(reason)
}

export function parseDescription(description: string): string {
  return parseText(description, 'description', MAX_DESCRIPTION_BYTES)
}

export function parseOwner(owner: string): string {
  return parseLine(owner, 'owner', MAX_OWNER_CHARACTERS)
}

export function isLine(text: string): boolean {
  // oxlint-disable-next-line no-control-regex
  return text.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)
}

export function countCharacters(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}
