// The audit service is killed at a named statement. Appends and redactions are atomic and can be retried; at most one
// checkpoint of each size is signed, and the next one extends it.
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { PrivacyService } from '#gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { hashToken } from '#lib/access/authenticate.ts'
import { formatVerifierKey, splitNote } from '#lib/tlog/note.ts'
import { makeEvents, METADATA_TOKEN } from '../../support/audit.ts'
import { createDatabase, runSql } from '../../support/database.ts'
import { after, afterCommit, before, beforeCommit, type FreezePoint } from '../../support/freezing-database.ts'
import { startFakeIdentity } from '../../support/fake-identity.ts'
import { checkTree } from '../../support/kill-verdict.ts'
import { startKillableService } from '../../support/killable-service.ts'
import { grpcClient } from '../../support/suite.ts'
import { startWitness, type RunningWitness } from '../../support/witness.ts'

const ORIGIN = 'log.example/crash'
const home = await mkdtemp(join(tmpdir(), 'modelkeep-crash-'))
const stateFile = join(home, 'state')
const { privateKey } = generateKeyPairSync('ed25519')
const vkey = formatVerifierKey(ORIGIN, privateKey)
const database = await createDatabase()
const peer = await startFakeIdentity({ root: { principal: 'root', roles: { '*': Role.ADMIN } } })
const audit = await startKillableService('audit', database.url, {
  SERVICE_TOKEN: `mks_${'a'.repeat(40)}`,
  TRUSTED_SERVICES: `metadata=${hashToken(METADATA_TOKEN).toString('hex')}`,
  METADATA_ADDRESS: peer.address,
  AUDIT_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  AUDIT_ORIGIN: ORIGIN,
  AUDIT_STATE_FILE: stateFile,
})
afterAll(async () => {
  await audit.stop()
  await peer.close()
  await database.drop()
  await rm(home, { recursive: true, force: true })
})

const ingest = grpcClient(IngestService, audit.address, METADATA_TOKEN)
const log = grpcClient(LogService, audit.address, 'root')
const proofs = grpcClient(ProofService, audit.address, 'root')
const privacy = grpcClient(PrivacyService, audit.address, 'root')

const sql = async <T extends object>(statement: string, values: unknown[] = []) =>
  (await runSql(database.url, statement, values)) as T[]

/** Returns the size of the log, and expects head, entries and tiles to agree on it. */
async function sizeOf(): Promise<number> {
  const [row] = await sql<{ size: number; entries: number; hashes: number }>(
    `select (select size::int from audit.log_head) as size, (select count(*)::int from audit.entry) as entries,
      (select coalesce(sum(length(hashes)) / 32, 0)::int from audit.tile where level = 0) as hashes`,
  )
  const { size, entries, hashes } = row!
  expect([entries, hashes]).toEqual([size, size])
  return size
}

async function nextEvents(count: number) {
  const [row] = await sql<{ next: string }>(`select next_sequence as next from audit.producer where name = 'metadata'`)
  return makeEvents(Number(row?.next ?? 1), count)
}

test.each([
  ['with the log locked, before its entries', before(/insert into entry /)],
  ['between its entries and the tree over them', before(/update log_head set/)],
  ['before its commit', beforeCommit(/insert into entry /)],
  ['after its commit, before the answer', afterCommit(/insert into entry /)],
])('killed during an append, %s: a retry gives each event one index', async (_when, point) => {
  const events = await nextEvents(3)
  const size = await sizeOf()
  const reached = point.side === 'after' ? size + 3 : size
  const { isAnswered } = await audit.freeze(point, () => ingest.appendEvents({ events }))
  expect(await sizeOf()).toBe(reached)
  await audit.killAndStart()
  expect(await isAnswered).toBe(false)
  expect(await sizeOf()).toBe(reached)
  const answer = await ingest.appendEvents({ events })
  expect(answer.indexes).toEqual([0, 1, 2].map((at) => BigInt(size + at)))
  expect(await ingest.appendEvents({ events })).toEqual(answer)
  expect(await sizeOf()).toBe(size + 3)
})

test.each([
  ['between the erasure and its event', before(/insert into entry /)],
  ['after its commit, before the answer', afterCommit(/insert into entry /)],
])(
  'killed during a redaction, %s: the value is erased together with its event, or not at all',
  async (_when, point) => {
    const [event] = await nextEvents(1)
    await ingest.appendEvents({ events: [event!] })
    const size = await sizeOf()
    const entry = { case: 'eventId' as const, value: event!.id }
    const expectErased = async (isErased: boolean): Promise<void> => {
      expect((await log.getEntry({ entry })).entry!.event!.reason).toBe(isErased ? '' : event!.reason)
      expect(await sizeOf()).toBe(isErased ? size + 1 : size)
    }
    const redact = () => privacy.redactEvent({ eventId: event!.id, reason: 'asked to' })
    const { isAnswered } = await audit.freeze(point, redact)
    await expectErased(point.side === 'after')
    await audit.killAndStart()
    expect(await isAnswered).toBe(false)
    await expectErased(point.side === 'after')
    expect(await redact()).toMatchObject({ redactIndex: BigInt(size) })
    expect(await redact()).toMatchObject({ redactIndex: BigInt(size) })
    await expectErased(true)
  },
)

const readMarked = async (): Promise<string> => splitNote(await readFile(stateFile, 'utf8'))!.text

/** Returns the steps that the checkpoint of `size` entries has passed. */
async function stepsOf(size: number): Promise<string[]> {
  const marked = await readMarked()
  const isThere = async (table: string): Promise<string[]> => {
    const rows = await sql(`select 1 from audit.${table} where size = ?`, [size])
    expect(rows.length).toBeLessThanOrEqual(1)
    return rows.length === 1 ? [table] : []
  }
  const tables = [await isThere('checkpoint'), await isThere('cosignature'), await isThere('publication')]
  return [...(marked.split('\n')[1] === `${size}` ? ['file'] : []), ...tables.flat()]
}

const SIGNED = ['file', 'checkpoint', 'publication']
const COSIGNED = ['file', 'checkpoint', 'cosignature', 'publication']

/** Kills the service at the point, where the next checkpoint has passed `steps`, and expects `all` after a restart. */
async function killInCheckpoint(
  point: FreezePoint,
  steps: string[],
  { all, settings }: { all: string[]; settings: Record<string, string> },
): Promise<void> {
  const sizeBefore = await sizeOf()
  await expect.poll(() => stepsOf(sizeBefore), { timeout: 20_000 }).toEqual(all)
  const events = await nextEvents(2)
  const { answer } = await audit.freeze(point, () => ingest.appendEvents({ events }))
  await answer
  const size = sizeBefore + events.length
  expect(await stepsOf(size)).toEqual(steps)
  const marked = await readMarked()
  await audit.killAndStart(settings)
  await expect.poll(() => stepsOf(size), { timeout: 20_000 }).toEqual(all)
  const { checkpoint } = await proofs.getCheckpoint({ minSize: BigInt(size) })
  expect(splitNote(checkpoint!.note)!.text).toBe(marked)
}

describe('a service killed while it signs a checkpoint publishes the same one after a restart', () => {
  test.each([
    ['after the state file has it, before the database', before(/^insert into "audit"."checkpoint"/), ['file']],
    ['before its commit', beforeCommit(/^insert into "audit"."checkpoint"/), ['file']],
    ['after its commit', afterCommit(/^insert into "audit"."checkpoint"/), SIGNED],
  ])('%s', (_when, point, steps) => killInCheckpoint(point, steps, { all: SIGNED, settings: {} }))
})

describe('a service killed while it has a checkpoint cosigned publishes the same one after a restart', () => {
  let witness: RunningWitness
  const settings: Record<string, string> = { AUDIT_WITHOUT_QUORUM: 'withhold' }
  beforeAll(async () => {
    witness = await startWitness({ vkeys: [vkey] })
    settings['AUDIT_POLICY'] = `log ${vkey}\nwitness w ${witness.vkey} ${witness.url}\nquorum w\n`
    await audit.killAndStart(settings)
    await ingest.appendEvents({ events: await nextEvents(1) })
  })
  afterAll(() => witness.close())

  test.each([
    ['after it is signed, before a cosignature', before(/^insert into "audit"."cosignature"/), ['file', 'checkpoint']],
    ['before it is published', before(/^insert into "audit"."publication"/), ['file', 'checkpoint', 'cosignature']],
    ['after it is published', after(/^insert into "audit"."publication"/), COSIGNED],
  ])('%s', (_when, point, steps) => killInCheckpoint(point, steps, { all: COSIGNED, settings }))
})

test('the log has every event once after all kills, and the export proves its tree', async () => {
  const { entries, violations } = await checkTree({ databaseUrl: database.url, vkey, proofs })
  expect(violations).toEqual([])
  expect(entries).toBe(await sizeOf())
  const sequences = await sql<{ sequence: string }>(
    `select sequence from audit.entry where producer = 'metadata' order by index`,
  )
  expect(sequences.map(({ sequence }) => Number(sequence))).toEqual(sequences.map((_, at) => at + 1))
})
