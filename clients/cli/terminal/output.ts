// Formats the output: tables for people, JSON for programs.
import { toJson, type DescEnum, type DescMessage, type JsonValue, type MessageShape } from '@bufbuild/protobuf'
import type { Timestamp } from '@bufbuild/protobuf/wkt'
import Table from 'cli-table3'
import { stripVTControlCharacters, styleText } from 'node:util'
import { environment } from '../settings.ts'

export interface Output {
  json: boolean
  write(text: string): void
  /** Prints one JSON document. Called with `--json` only. */
  document(value: JsonValue): void
}

type Style = Parameters<typeof styleText>[0]

export function openOutput(json: boolean): Output {
  const write = (text: string): void => void process.stdout.write(`${text}\n`)
  return { json, write, document: (value) => write(JSON.stringify(value, null, 2)) }
}

/** Converts a message by the JSON mapping of the protos. Empty fields are included. */
export function jsonOf<D extends DescMessage>(schema: D, message: MessageShape<D>): JsonValue {
  return toJson(schema, message, { alwaysEmitImplicit: true })
}

/** Applies a style on a terminal, unless NO_COLOR is set. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return stream.isTTY && !environment()['NO_COLOR'] ? styleText(style, text, { validateStream: false }) : text
}

const NO_BORDERS = {
  chars: Object.fromEntries(
    [
      'top',
      'top-mid',
      'top-left',
      'top-right',
      'bottom',
      'bottom-mid',
      'bottom-left',
      'bottom-right',
      'left',
      'left-mid',
      'mid',
      'mid-mid',
      'right',
      'right-mid',
    ]
      .map((name) => [name, ''])
      .concat([['middle', '  ']]),
  ),
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
}

export function table(head: string[], rows: string[][]): string {
  const grid = new Table({ ...NO_BORDERS, head: head.map((text) => paint('dim', text)) })
  for (const row of rows) grid.push(row.map(clean))
  return trimLines(grid.toString())
}

/** Formats names and values, one pair per line. Pairs without a value are omitted. */
export function facts(rows: [string, string][]): string {
  const grid = new Table(NO_BORDERS)
  for (const [name, value] of rows) if (value !== '') grid.push([paint('dim', name), clean(value)])
  return trimLines(grid.toString())
}

function trimLines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

/** Removes control characters from untrusted text, but no line breaks. */
export function plain(text: string): string {
  return text.split('\n').map(clean).join('\n')
}

/** Puts untrusted text on one line, without control characters and escape sequences. */
export function clean(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return stripVTControlCharacters(text).replaceAll(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]+/g, ' ')
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export function bytes(count: bigint | number): string {
  let value = Number(count)
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

/** Formats a time in UTC, such as `2026-11-23 05:40:12`. */
export function time(timestamp: Timestamp | undefined): string {
  if (!timestamp) return ''
  const date = new Date(Number(timestamp.seconds) * 1000 + timestamp.nanos / 1e6)
  return date.toISOString().slice(0, 19).replace('T', ' ')
}

/** Formats an enum value, such as `fine-tuned`. */
export function word(schema: DescEnum, value: number): string {
  return (schema.value[value]?.localName ?? '').toLowerCase().replaceAll('_', '-')
}

const DIGEST = /(sha256:[0-9a-f]{12})[0-9a-f]{52}/g

/** Shortens a digest to its first 12 hex digits and an ellipsis. */
export function shortDigest(digest: string): string {
  return shortenDigests(digest)
}

/** Shortens all digests in a text. */
export function shortenDigests(text: string): string {
  return text.replaceAll(DIGEST, '$1…')
}

export function versionName(version: { namespace: string; model: string; number: number }): string {
  return `${version.namespace}/${version.model}:${version.number}`
}
