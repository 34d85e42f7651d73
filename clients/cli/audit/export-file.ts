// The file of an export: JSON lines, of which every byte is checked. First the checkpoint, then each entry with its
// index, its hash and the stored bytes of its leaf, which are JSON themselves.

const FORMAT = 'modelkeep-audit-export/v1'

export function formatHeader(checkpoint: string): string {
  return JSON.stringify({ format: FORMAT, checkpoint })
}

/** The signed checkpoint; undefined where the line is no header of an export. */
export function findHeader(line: string): string | undefined {
  try {
    const { checkpoint } = JSON.parse(line) as { checkpoint?: unknown }
    return typeof checkpoint === 'string' && formatHeader(checkpoint) === line ? checkpoint : undefined
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
const HEAD = /^\{"index":(0|[1-9][0-9]{0,15}),"hash":"([^"]{44})","leaf":$/

/** Undefined where the line is not of this form. */
export function findEntryLine(line: Buffer): ExportedLine | undefined {
  const index = line.indexOf(',', 0, 'latin1')
  const end = index + entryHead('', '').length - '{"index":'.length + HASH_TEXT
  const [, digits, hash] = HEAD.exec(line.toString('latin1', 0, Math.max(0, end))) ?? []
  if (digits === undefined || hash === undefined || line.at(-1) !== LEAF_END[0]) return undefined
  return { index: digits, hash, leaf: line.subarray(end, -1) }
}
