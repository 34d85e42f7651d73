// `npm run bench:audit [-- --quick] [-- --size N,N] [-- --json FILE]`: appends, proofs, verification and reads of a log,
// with targets. PostgreSQL and gRPC are real; the client runs on the same machine. `--size` fills the log up to these sizes by
// SQL, and measures proofs there.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { findVerifier } from '#lib/tlog/note.ts'
import { formatEntry, formatHeader, formatOpening } from '../../clients/verifier/export/export-file.ts'
import { verifyExport } from '../../clients/verifier/verify-export.ts'
import { openStore } from '../../services/audit/store/orm.ts'
import { migrate } from '../../services/migrate.ts'
import { startPostgres } from '../../services/standalone/postgres.ts'
import { makeSigner, startAudit, type RunningAudit } from '../support/audit.ts'
import { eventAt } from './audit-events.ts'
import { measureFreshness, measureOutbox, measureSingle, measureWriter } from './audit-load.ts'
import { measureReads } from './audit-reads.ts'
import { requireRoom, seedTo } from './audit-seed.ts'
import { Figures, median, percentile } from './figures.ts'
import { makeHome } from './home.ts'
import { openRegistry } from './metadata/registry.ts'

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean' }, size: { type: 'string', default: '' }, json: { type: 'string' } },
})
const BATCH = 256
const PROOF_SIZE = 10_000
const WARM_UPS = 200
/** Enough entries to be verified in threads, as large logs are. */
const APPENDED = options.quick ? 60_000 : 100_000
const SEEDED = options.size.split(',').filter(Boolean).map(Number)
const figures = new Figures()

const directory = await makeHome()
try {
  await measureLog()
  await measureOthers()
  await figures.conclude({ sizes: [PROOF_SIZE, APPENDED, ...SEEDED] }, options.json)
} finally {
  await rm(directory, { recursive: true, force: true })
}

async function measureLog(): Promise<void> {
  const postgres = await startPostgres({ directory: join(directory, 'postgres') })
  const url = postgres.url('postgres')
  await migrate('audit', url)
  const signer = makeSigner()
  const audit = await startAudit(url, { signer })
  const database = openStore({ url })
  // The first thousand is a warm-up.
  await append(audit, 0, 1_000, {})
  await append(audit, 1_000, PROOF_SIZE, {})
  await measureProofs(audit, PROOF_SIZE)
  await append(audit, PROOF_SIZE, APPENDED, { least: 5000 })
  await measureProofs(audit, APPENDED)
  await measureExport(audit, signer.vkey)
  await measureReads(figures, audit, APPENDED)
  const written = await measureWriter(figures, database, APPENDED, options.quick ? 40 : 200)
  let size = await measureSingle(figures, audit, written, options.quick ? 4 : 20)
  for (const wanted of SEEDED) {
    await requireRoom(directory, wanted - size)
    await seedTo(database, wanted)
    size = Math.max(size, wanted)
    await measureProofs(audit, size)
  }
  await database.close(true)
  await audit.close()
  await postgres.stop()
}

async function measureOthers(): Promise<void> {
  const postgres = await startPostgres({ directory: join(directory, 'fresh') })
  const url = postgres.url('postgres')
  await migrate('audit', url)
  await migrate('metadata', url)
  const audit = await startAudit(url, { signer: makeSigner() })
  await measureFreshness(figures, audit, url, options.quick ? 100 : 400)
  await audit.close()
  await postgres.stop()
  const registry = await openRegistry(join(directory, 'registry'))
  await measureOutbox(figures, registry, options.quick ? 20 : 80)
  await registry.close()
}

async function append(audit: RunningAudit, from: number, to: number, target: { least?: number }): Promise<void> {
  const batches = []
  for (let first = from + 1; first <= to; first += BATCH) {
    batches.push(Array.from({ length: Math.min(BATCH, to - first + 1) }, (_, at) => eventAt(first + at)))
  }
  const began = performance.now()
  for (const events of batches) await audit.ingest.appendEvents({ events })
  const seconds = (performance.now() - began) / 1000
  figures.report(`append ${to - from} events in batches of ${BATCH}`, (to - from) / seconds, '/s', target)
}

async function measureProofs({ proofs }: RunningAudit, size: number): Promise<void> {
  const began = performance.now()
  while (!(await proofs.getCheckpoint({ minSize: BigInt(size) }).catch(() => undefined)));
  figures.report(`${size} entries, until a checkpoint has the last`, performance.now() - began, 'ms', { most: 2000 })
  const any = (below: number): bigint => BigInt(1 + Math.floor(Math.random() * (below - 1)))
  const treeSize = BigInt(size)
  await measure(`${size} entries, inclusion proof`, () =>
    proofs.getInclusionProof({ entry: { case: 'index', value: any(size) }, treeSize }),
  )
  await measure(`${size} entries, consistency proof`, () =>
    proofs.getConsistencyProof({ oldSize: any(size), newSize: treeSize }),
  )
}

async function measure(name: string, work: () => Promise<unknown>): Promise<void> {
  const times: number[] = []
  for (let round = 0; round < WARM_UPS; round += 1) await work()
  const cpu = process.cpuUsage()
  for (let round = 0; round < 2000; round += 1) {
    const began = performance.now()
    await work()
    times.push(performance.now() - began)
  }
  const { user, system } = process.cpuUsage(cpu)
  figures.report(`${name}, p50`, percentile(times, 50), 'ms')
  figures.report(`${name}, p99`, percentile(times, 99), 'ms', { most: 10 })
  figures.report(`${name}, CPU of service and client`, (user + system) / 1000 / times.length, 'ms')
}

async function measureExport({ proofs }: RunningAudit, vkey: string): Promise<void> {
  let began = performance.now()
  const lines: Buffer[] = []
  let index = 0
  for await (const { checkpoint, entries } of proofs.exportEntries({})) {
    if (checkpoint) lines.push(Buffer.from(formatHeader(checkpoint.note)))
    for (const { leaf, leafHash, openings } of entries) {
      lines.push(formatEntry(index, Buffer.from(leafHash), leaf))
      for (const { field, salt, value } of openings) lines.push(formatOpening(index, field, salt, value))
      index += 1
    }
  }
  const rate = (milliseconds: number): number => (index * 1000) / milliseconds
  figures.report(`${index} entries, export`, rate(performance.now() - began), '/s')
  const file = Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]))
  async function* read(): AsyncIterable<Buffer> {
    for (let at = 0; at < file.length; at += 1 << 20) yield file.subarray(at, at + (1 << 20))
  }
  const key = findVerifier(vkey)!
  const rates: number[] = []
  const cpuRates: number[] = []
  for (let round = 0; round < 3; round += 1) {
    const cpu = process.cpuUsage()
    began = performance.now()
    await verifyExport(read(), { name: key.name, keys: [key], policy: undefined })
    rates.push(rate(performance.now() - began))
    const { user, system } = process.cpuUsage(cpu)
    cpuRates.push(rate((user + system) / 1000))
  }
  figures.report(`${index} entries, verification`, median(rates), '/s', { least: 100_000 })
  figures.report(`${index} entries, verification`, median(cpuRates), '/CPU s')
}
