// The file of an export: JSON lines, of which every byte is checked. First the checkpoint, then each entry with its
// index, its hash and the stored bytes of its leaf, which are JSON themselves. After an entry follows what its leaf only
// commits to, one line for each commitment: salt and value, or which entry tells of its erasure.
import { decodeBase64 } from '#lib/note.ts'

/** The first format had no openings. */
const FORMATS = ['modelkeep-audit-export/v2', 'modelkeep-audit-export/v1'] as const

export interface ExportHeader {
  /** Signed. */
  checkpoint: string
  hasOpenings: boolean
}

export function formatHeader(checkpoint: string, format: (typeof FORMATS)[number] = FORMATS[0]): string {
  return JSON.stringify({ format, checkpoint })
}

/** Undefined where the line is no header of an export. */
export function findHeader(line: string): ExportHeader | undefined {
  try {
    const { checkpoint } = JSON.parse(line) as { checkpoint?: unknown }
    if (typeof checkpoint !== 'string') return undefined
    const format = FORMATS.find((known) => formatHeader(checkpoint, known) === line)
    return format && { checkpoint, hasOpenings: format === FORMATS[0] }
  } catch {
    return undefined
  }
}

const LEAF_END = Buffer.from('}')

export function formatEntry(index: number, hash: Buffer, leaf: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(entryHead(index, hash.toString('base64'))), leaf, LEAF_END])
}

function entryHead(index: number | string, hash: string): string {
  return `{"index":${index},"hash":"${hash}","leaf":`
}

export interface ExportedLine {
  index: string
  /** Base64. */
  hash: string
  leaf: Buffer
}

const HASH_TEXT = 44
const COMMA = 44
const HEAD_AFTER_INDEX = entryHead('', '').length - '{"index":'.length + HASH_TEXT
const HEAD = /^\{"index":(0|[1-9][0-9]{0,15}),"hash":"([^"]{44})","leaf":$/

/** Undefined where the line is not of this form. */
export function findEntryLine(line: Buffer): ExportedLine | undefined {
  const end = line.indexOf(COMMA) + HEAD_AFTER_INDEX
  const [, digits, hash] = HEAD.exec(line.toString('latin1', 0, Math.max(0, end))) ?? []
  if (digits === undefined || hash === undefined || line.at(-1) !== LEAF_END[0]) return undefined
  return { index: digits, hash, leaf: line.subarray(end, -1) }
}

export interface OpeningLine {
  index: string
  field: string
  opening: { salt: Buffer; value: Buffer } | { redactIndex: string }
}

const OPENING_START = Buffer.from('{"open"')
const OPENING_HEAD =
  /^\{"open":(0|[1-9][0-9]{0,15}),"field":"([A-Za-z0-9_.-]+)","(?:redacted":([1-9][0-9]{0,15})\}|salt":"([^"]{44})","value":)/
const LONGEST_HEAD = 256
const SALT_BYTES = 32

export function formatOpening(index: number, field: string, salt: Uint8Array, value: string): Buffer {
  return Buffer.from(
    `{"open":${index},"field":"${field}","salt":"${Buffer.from(salt).toString('base64')}","value":${value}}`,
  )
}

export function formatRedacted(index: number, field: string, redactIndex: number | bigint): Buffer {
  return Buffer.from(`{"open":${index},"field":"${field}","redacted":${redactIndex}}`)
}

export function isOpeningLine(line: Buffer): boolean {
  return (
    line.length >= OPENING_START.length &&
    line.compare(OPENING_START, 0, OPENING_START.length, 0, OPENING_START.length) === 0
  )
}

/** Undefined where the line is not of this form. */
export function findOpeningLine(line: Buffer): OpeningLine | undefined {
  const [head = '', index, field, redactIndex, salt] = OPENING_HEAD.exec(line.toString('latin1', 0, LONGEST_HEAD)) ?? []
  if (index === undefined || field === undefined) return undefined
  if (redactIndex !== undefined)
    return head.length === line.length ? { index, field, opening: { redactIndex } } : undefined
  const bytes = decodeBase64(salt ?? '')
  if (bytes?.length !== SALT_BYTES || line.at(-1) !== LEAF_END[0]) return undefined
  return { index, field, opening: { salt: bytes, value: line.subarray(head.length, -1) } }
}
