// The command audit export exports the whole log, for verification or as CloudEvents.
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Opening } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { ProofService, type ExportEntriesResponse } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { formatEntry, formatHeader, formatOpening, formatRedacted } from '../../../verifier/export/export-file.ts'
import { toCloudEvent } from '../../../verifier/export/cloud-event.ts'
import { failUsage } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { unary, type Registry } from '../../connection/registry.ts'
import { waitForCheckpoint } from './published.ts'

const BUFFERED_BYTES = 1024 * 1024

/** Exports all present entries, with a checkpoint that covers them. */
export async function exportLog(context: Context, file: string, options: { format?: string }): Promise<void> {
  const writeLines = FORMATS.get(options.format ?? 'proof')
  if (!writeLines) failUsage(`--format "${options.format}" is unknown; use ${[...FORMATS.keys()].join(', ')}`)
  const registry = context.registry()
  const { logSize } = await registry.audit(LogService).listEntries({ pageSize: 1 }, unary(registry))
  const { size } = await waitForCheckpoint(registry, logSize)
  const partial = `${file}.${process.pid}.partial`
  try {
    const lines = exportedLines(registry, size, writeLines)
    const streamOptions = { objectMode: false, highWaterMark: BUFFERED_BYTES }
    await pipeline(Readable.from(lines, streamOptions), createWriteStream(partial, { mode: 0o600, flush: true }))
    await rename(partial, file)
  } finally {
    await rm(partial, { force: true })
  }
  if (context.output.json) return context.output.document({ file, entries: String(size) })
  context.output.write(`exported ${size} entries to ${file}`)
  if (options.format === 'cloudevents') return
  context.note(`Verify it anywhere with: modelkeep audit verify ${file} --key <the log's public key>`)
}

type WriteLines = (answer: ExportEntriesResponse, first: number) => Buffer[]

const FORMATS = new Map<string, WriteLines>([
  ['proof', proofLines],
  ['cloudevents', cloudEventLines],
])

async function* exportedLines(registry: Registry, treeSize: bigint, writeLines: WriteLines): AsyncIterable<Buffer> {
  let index = 0
  const { signal } = registry
  for await (const answer of registry.audit(ProofService).exportEntries({ treeSize }, { signal })) {
    yield Buffer.concat(writeLines(answer, index).flatMap((line) => [line, Buffer.from('\n')]))
    index += answer.entries.length
  }
}

function proofLines({ checkpoint, entries }: ExportEntriesResponse, first: number): Buffer[] {
  const lines: Buffer[] = checkpoint ? [Buffer.from(formatHeader(checkpoint.note))] : []
  for (const [at, { leaf, leafHash, openings }] of entries.entries()) {
    lines.push(formatEntry(first + at, Buffer.from(leafHash), leaf), ...openingLines(first + at, openings))
  }
  return lines
}

function cloudEventLines({ entries }: ExportEntriesResponse, first: number): Buffer[] {
  return entries.map(({ leaf, openings }, at) => {
    const values = openings.filter(({ redactIndex }) => redactIndex === undefined)
    return Buffer.from(JSON.stringify(toCloudEvent(first + at, Buffer.from(leaf), values)))
  })
}

/** Formats the private values of an entry, and the erasures of others. */
export function openingLines(index: number, openings: Opening[]): Buffer[] {
  return openings.map(({ field, salt, value, redactIndex }) =>
    redactIndex === undefined ? formatOpening(index, field, salt, value) : formatRedacted(index, field, redactIndex),
  )
}
