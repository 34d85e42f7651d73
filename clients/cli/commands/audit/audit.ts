// audit export, proof, checkpoint: what the log gives for checking it elsewhere.
import { toJson } from '@bufbuild/protobuf'
import { createWriteStream } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Opening } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import {
  CheckpointSchema,
  ProofService,
  type Checkpoint,
  type ExportEntriesResponse,
  type GetProofBundleResponse,
} from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import { findProof } from '#lib/tlog/proof-file.ts'
import { formatEntry, formatHeader, formatOpening, formatRedacted } from '../../../verifier/export/export-file.ts'
import { toCloudEvent } from '../../../verifier/export/cloud-event.ts'
import { formatConsistency } from '../../../verifier/consistency-file.ts'
import { withSubject, readSize } from '../../../verifier/verify-file.ts'
import { openCheckpoint, requireQuorum } from '../../../verifier/open-checkpoint.ts'
import { readTrust, type TrustOptions } from '../../../verifier/read-trust.ts'
import { failUsage } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { unary, type Registry } from '../../connection/registry.ts'

/** New entries are covered by a checkpoint within two seconds, where a process signs. */
const WAIT_MS = 6_000
const LOOK_EVERY_MS = 250
const BUFFERED_BYTES = 1024 * 1024

/** Every entry that is in the log now, as the newest checkpoint has it. */
export async function exportLog(context: Context, file: string, options: { format?: string }): Promise<void> {
  const writeLines = FORMATS.get(options.format ?? 'proof')
  if (!writeLines) failUsage(`--format "${options.format}" is unknown; use ${[...FORMATS.keys()].join(', ')}`)
  const registry = context.registry()
  const { logSize } = await registry.audit(LogService).listEntries({ pageSize: 1 }, unary(registry))
  const { size } = await waitForCheckpoint(registry, logSize)
  const partial = `${file}.${process.pid}.partial`
  try {
    const lines = exportedLines(registry, size, writeLines)
    const options = { objectMode: false, highWaterMark: BUFFERED_BYTES }
    await pipeline(Readable.from(lines, options), createWriteStream(partial, { mode: 0o600, flush: true }))
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

function openingLines(index: number, openings: Opening[]): Buffer[] {
  return openings.map(({ field, salt, value, redactIndex }) =>
    redactIndex === undefined ? formatOpening(index, field, salt, value) : formatRedacted(index, field, redactIndex),
  )
}

/** Writes `NAME.tlog-proof`, and beside it the event as the log has it as `NAME.json`, and
 * what it only commits to as `NAME.values`. */
export async function proveEvent(context: Context, eventId: string, options: { out?: string }): Promise<void> {
  const registry = context.registry()
  const request = { entry: { case: 'eventId' as const, value: eventId } }
  const bundle = await whenPublished(() => registry.audit(ProofService).getProofBundle(request, unary(registry)))
  const name = (options.out ?? eventId).replace(/\.tlog-proof$/, '')
  const [proof, leaf] = [`${name}.tlog-proof`, `${name}.json`]
  await writeFile(proof, bundle.proof)
  await writeFile(leaf, bundle.leaf)
  const files = { proof, leaf, ...(await writeValues(name, bundle)) }
  if (context.output.json) return context.output.document(files)
  context.output.write(`wrote ${Object.values(files).join(', ')}`)
  context.note(`Verify it anywhere with: modelkeep audit verify ${proof} --key <the log's public key>`)
}

async function writeValues(name: string, { proof, openings }: GetProofBundleResponse): Promise<{ values?: string }> {
  const values = `${name}.values`
  await rm(values, { force: true })
  if (openings.length === 0) return {}
  const lines = openingLines(Number(findProof(proof)!.index), openings)
  await writeFile(values, `${lines.join('\n')}\n`, { mode: 0o600 })
  return { values }
}

export async function showCheckpoint(context: Context, options: TrustOptions & { since?: string }): Promise<void> {
  const registry = context.registry()
  const trust = options.key || options.policy ? await readTrust(options) : undefined
  const checkpoint = await waitForCheckpoint(registry, 0n)
  if (trust) {
    await withSubject('the log', async () => {
      openCheckpoint(checkpoint.note, trust)
      requireQuorum(checkpoint.note, trust)
    })
  }
  if (context.output.json) return context.output.document(toJson(CheckpointSchema, checkpoint))
  if (options.since === undefined) return void process.stdout.write(checkpoint.note)
  const oldSize = await readSize(options.since)
  const isProvable = oldSize > 0n && oldSize <= checkpoint.size
  const request = { oldSize, newSize: checkpoint.size }
  const proof = isProvable
    ? await registry.audit(ProofService).getConsistencyProof(request, unary(registry))
    : undefined
  const hashes = (proof?.hashes ?? []).map((hash) => Buffer.from(hash))
  process.stdout.write(formatConsistency({ oldSize, hashes, checkpoint: checkpoint.note }))
}

/** The newest one, which covers at least `size` entries. */
async function waitForCheckpoint(registry: Registry, size: bigint): Promise<Checkpoint> {
  const proofs = registry.audit(ProofService)
  await whenPublished(() => proofs.getCheckpoint({ minSize: size }, unary(registry)))
  return (await proofs.getCheckpoint({}, unary(registry))).checkpoint!
}

async function whenPublished<T>(work: () => Promise<T>): Promise<T> {
  const until = performance.now() + WAIT_MS
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (reasonOf(error)?.reason !== 'CHECKPOINT_NOT_FOUND' || performance.now() > until) throw error
      await sleep(LOOK_EVERY_MS)
    }
  }
}
