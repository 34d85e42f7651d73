// The format of an export: JSON lines, of which every byte is checked. The first line has the checkpoint. Each entry has its
// index, its hash and the stored bytes of its leaf, which are JSON, too. An entry is followed by one line for each of its
// commitments: the salt and the value, or the entry that records the erasure.
import { decodeBase64 } from '#lib/tlog/note.ts'

/** Version 1 had no openings. */
const FORMATS = ['modelkeep-audit-export/v2', 'modelkeep-audit-export/v1'] as const

export interface ExportHeader {
  /** The signed note. */
  checkpoint: string
  hasOpenings: boolean
}

export function formatHeader(checkpoint: string, format: (typeof FORMATS)[number] = FORMATS[0]): string {
  return JSON.stringify({ format, checkpoint })
}

/** Returns undefined if the line is not an export header. */
export function findHeader(line: string): ExportHeader | undefined {
  try {
    const { checkpoint } = JSON.parse(line) as { checkpoint?: unknown }
    if (typeof checkpoint !== 'string') return undefined
    const format = FORMATS.find((candidate) => formatHeader(checkpoint, candidate) === line)
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

/** A line within a part of an export. */
export interface Line {
  /** The bytes of the whole part. */
  bytes: Buffer
  /** The bytes as Latin-1, one character per byte. */
  text: string
  /** Whether the bytes are ASCII, in which case `text` is their UTF-8 text as well. */
  isAscii: boolean
  begin: number
  /** The offset of the newline. */
  end: number
}

export interface ExportedLine {
  index: string
  /** Base64. */
  hash: string
  leaf: Buffer
  /** The leaf as text. */
  leafText: string
}

const HEAD = /\{"index":(0|[1-9][0-9]{0,15}),"hash":"([^"]{44})","leaf":/y

/** Returns undefined if the line is malformed. */
export function findEntryLine(line: Line): ExportedLine | undefined {
  const [head = '', index, hash] = matchAt(HEAD, line)
  const begin = line.begin + head.length
  if (index === undefined || hash === undefined || !endsInBrace(line, begin)) return undefined
  const leaf = line.bytes.subarray(begin, line.end - 1)
  const leafText = line.isAscii ? line.text.slice(begin, line.end - 1) : leaf.toString()
  return { index, hash, leaf, leafText }
}

function matchAt(pattern: RegExp, { text, begin }: Line): string[] | RegExpExecArray {
  pattern.lastIndex = begin
  return pattern.exec(text) ?? []
}

function endsInBrace({ text, end }: Line, begin: number): boolean {
  return begin < end && text[end - 1] === '}'
}

export interface OpeningLine {
  index: string
  field: string
  opening: { salt: Buffer; value: Buffer } | { redactIndex: string }
}

const OPENING_START = '{"open"'
const OPENING_HEAD =
  /\{"open":(0|[1-9][0-9]{0,15}),"field":"([A-Za-z0-9_.-]+)","(?:redacted":([1-9][0-9]{0,15})\}|salt":"([^"]{44})","value":)/y
const SALT_BYTES = 32

export function formatOpening(index: number, field: string, salt: Uint8Array, value: string): Buffer {
  return Buffer.from(
    `{"open":${index},"field":"${field}","salt":"${Buffer.from(salt).toString('base64')}","value":${value}}`,
  )
}

export function formatRedacted(index: number, field: string, redactIndex: number | bigint): Buffer {
  return Buffer.from(`{"open":${index},"field":"${field}","redacted":${redactIndex}}`)
}

export function isOpeningLine({ text, begin }: Line): boolean {
  return text.startsWith(OPENING_START, begin)
}

/** Returns undefined if the line is malformed. */
export function findOpeningLine(line: Line): OpeningLine | undefined {
  const [head = '', index, field, redactIndex, salt] = matchAt(OPENING_HEAD, line)
  const begin = line.begin + head.length
  if (index === undefined || field === undefined) return undefined
  if (redactIndex !== undefined) return begin === line.end ? { index, field, opening: { redactIndex } } : undefined
  const bytes = decodeBase64(salt ?? '')
  if (bytes?.length !== SALT_BYTES || !endsInBrace(line, begin)) return undefined
  return { index, field, opening: { salt: bytes, value: line.bytes.subarray(begin, line.end - 1) } }
}
