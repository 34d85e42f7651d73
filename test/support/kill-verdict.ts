// The expectations on a log after its services and its database were killed.
import type { Client } from '@connectrpc/connect'
import type { ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { pollUntil } from './poll.ts'
import { formatEntry, formatHeader, formatOpening, formatRedacted } from '../../clients/verifier/export/export-file.ts'
import { verifyExport } from '../../clients/verifier/verify-export.ts'
import { findVerifier } from '#lib/tlog/note.ts'
import { hashLeaf, rootOf, type Range } from '#lib/tlog/merkle.ts'
import { growTree } from '#lib/tlog/tiles.ts'
import { runSql } from './database.ts'
import { proofsOf, type World } from './kill-world.ts'

export interface Acknowledged {
  /** Ids of models whose creation was acknowledged. */
  models: Set<string>
  /** Ids of acknowledged events, by their index. */
  indexes: Map<number, string>
}

interface Row {
  index: string
  event_id: string
  type: string
  resource_id: string
  leaf: Buffer
}

/** Waits until all committed events have arrived. */
export async function checkLog(
  world: World,
  { models, indexes }: Acknowledged,
): Promise<{ entries: number; violations: string[] }> {
  const { databaseUrl } = world
  await pollUntil(async () => {
    const [counter] = (await runSql(databaseUrl, SENT)) as { last: string; taken: string }[]
    return counter!.last === counter!.taken
  })
  const rows = (await runSql(databaseUrl, ENTRIES)) as Row[]
  const violations: string[] = []
  const created = Map.groupBy(
    rows.filter(({ type }) => type === 'model.created.v1'),
    (row) => row.resource_id,
  )
  for (const id of models) if (!created.has(id)) violations.push(`the acknowledged model ${id} is not in the log`)
  for (const [id, found] of created)
    if (found.length > 1) violations.push(`the model ${id} is there ${found.length} times`)
  for (const [index, id] of indexes) {
    if (rows[index]?.event_id !== id)
      violations.push(`event ${id} was acknowledged with index ${index}, and is not there`)
  }
  const { vkey } = world
  const { violations: others } = await checkTree({ databaseUrl, vkey, proofs: proofsOf(world) })
  return { entries: rows.length, violations: [...violations, ...others] }
}

export interface ProvenLog {
  databaseUrl: string
  vkey: string
  proofs: Client<typeof ProofService>
}

/** Checks that each event occurs once, that the tree covers them, and that the export verifies. */
export async function checkTree(log: ProvenLog): Promise<{ entries: number; violations: string[] }> {
  const rows = (await runSql(log.databaseUrl, ENTRIES)) as Row[]
  const violations = [...(await checkTiles(log, rows)), ...(await verify(log, rows.length))]
  if (new Set(rows.map((row) => row.event_id)).size !== rows.length) violations.push('an event is there twice')
  return { entries: rows.length, violations }
}

const SENT = `select (select last_sequence from metadata.outbox_counter) as last,
  (select next_sequence - 1 from audit.producer where name = 'metadata') as taken`
const ENTRIES = 'select index, event_id, type, resource_id, leaf from audit.entry order by index'

/** Checks that the stored tree is the tree over the stored leaves. */
async function checkTiles({ databaseUrl }: ProvenLog, rows: Row[]): Promise<string[]> {
  const range: Range = { size: 0, peaks: [] }
  const expected = growTree(
    range,
    rows.map(({ leaf }) => hashLeaf(leaf)),
  )
  const tiles = (await runSql(databaseUrl, 'select level, index, hashes from audit.tile')) as {
    level: number
    index: string
    hashes: Buffer
  }[]
  const [head] = (await runSql(databaseUrl, 'select size, root from audit.log_head')) as {
    size: string
    root: Buffer
  }[]
  const stored = new Map(tiles.map(({ level, index, hashes }) => [`${level}/${index}`, hashes]))
  const wrong = expected.filter(({ level, index, hashes }) => !stored.get(`${level}/${index}`)?.equals(hashes))
  return [
    ...wrong.map(({ level, index }) => `the tile ${level}/${index} is not that of the entries`),
    ...(tiles.length === expected.length ? [] : ['there are other tiles than those of the entries']),
    ...(Number(head!.size) === rows.length && head!.root.equals(rootOf(range))
      ? []
      : ['the head is not that of the entries']),
  ]
}

/** Verifies the export, which the newest checkpoint covers, as an auditor would. */
async function verify({ proofs, vkey }: ProvenLog, size: number): Promise<string[]> {
  await pollUntil(async () => {
    const answer = await proofs.getCheckpoint({ minSize: BigInt(size) }).catch(() => undefined)
    return answer !== undefined
  })
  async function* read(): AsyncIterable<Buffer> {
    let index = 0
    for await (const { checkpoint, entries } of proofs.exportEntries({})) {
      const lines: Buffer[] = checkpoint ? [Buffer.from(formatHeader(checkpoint.note))] : []
      for (const { leaf, leafHash, openings } of entries) {
        lines.push(formatEntry(index, Buffer.from(leafHash), leaf))
        for (const { field, salt, value, redactIndex } of openings) {
          const isErased = redactIndex !== undefined
          lines.push(isErased ? formatRedacted(index, field, redactIndex) : formatOpening(index, field, salt, value))
        }
        index += 1
      }
      yield Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]))
    }
  }
  const key = findVerifier(vkey)!
  try {
    const { checkpoint } = await verifyExport(read(), { name: key.name, keys: [key], policy: undefined })
    return checkpoint.size === BigInt(size) ? [] : [`the export has ${checkpoint.size} entries, the log ${size}`]
  } catch (error) {
    return [`the export is not verified: ${(error as Error).message}`]
  }
}
