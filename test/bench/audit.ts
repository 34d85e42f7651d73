// `npm run bench:audit [-- --quick] [-- --json FILE]`: appends through gRPC, and times proofs, verification and reads of a
// small and of a large log. Real PostgreSQL, real gRPC over sockets; the client shares the machine.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { migrate } from '../../services/migrate.ts'
import { startPostgres } from '../../services/standalone/postgres.ts'
import { formatEntry, formatHeader } from '../../clients/cli/audit/export-file.ts'
import { verifyExport } from '../../clients/cli/audit/verify-export.ts'
import { findVerifier } from '#lib/note.ts'
import { makeEvent, makeSigner, startAudit, type RunningAudit } from '../support/audit.ts'

interface Figure {
  name: string
  value: number
  unit: string
  /** `{ least: 5000 }` or `{ most: 10 }`; none where the figure is told for comparison only. */
  target: { least?: number; most?: number }
}

const { values: options } = parseArgs({ options: { quick: { type: 'boolean' }, json: { type: 'string' } } })
const BATCH = 256
const SIZES = [1_000, options.quick ? 20_000 : 100_000]
const figures: Figure[] = []

const directory = await mkdtemp(join(tmpdir(), 'modelkeep-bench-'))
await chmod(directory, 0o755)
const postgres = await startPostgres({ directory: join(directory, 'postgres') })
const url = postgres.url('postgres')
try {
  await migrate('audit', url)
  const signer = makeSigner()
  const audit = await startAudit(url, { signer })
  let appended = 0
  for (const size of SIZES) {
    appended = await append(audit, appended, size)
    await measureProofs(audit, size)
    await measureExport(audit, signer.vkey)
    await measureReads(audit, size)
  }
  await audit.close()
  const missed = figures.filter(isMissed)
  if (options.json) await writeFile(options.json, `${JSON.stringify({ sizes: SIZES, figures }, null, 2)}\n`)
  console.log(missed.length === 0 ? '\nall targets are met' : `\nmissed: ${missed.map(({ name }) => name).join(', ')}`)
  process.exitCode = missed.length === 0 ? 0 : 1
} finally {
  await postgres.stop()
  await rm(directory, { recursive: true, force: true })
}

function isMissed({ value, target: { least = -Infinity, most = Infinity } }: Figure): boolean {
  return value < least || value > most
}

function tell(name: string, value: number, unit: string, target: Figure['target'] = {}): void {
  const figure = { name, value, unit, target }
  figures.push(figure)
  const { least, most } = target
  const wanted = least === undefined ? (most === undefined ? '' : `at most ${most}`) : `at least ${least}`
  const shown = value >= 100 ? Math.round(value).toString() : value.toFixed(1)
  console.log(`${name.padEnd(56)}${`${shown} ${unit}`.padStart(14)}  ${wanted}${isMissed(figure) ? '  MISSED' : ''}`)
}

/** 1,000 models in 10 namespaces, 100 people. */
function event(sequence: number) {
  const namespace = `team-${sequence % 10}`
  return makeEvent(sequence, {
    type: sequence % 5 === 0 ? 'alias.moved.v1' : 'version.created.v1',
    actor: { principal: `person-${sequence % 100}`, method: 'token', credentialId: 'c' },
    resource: { type: 'version', id: `id-${sequence}`, namespace, name: `${namespace}/model-${sequence % 1000}:7` },
    details: { note: 'x'.repeat(400) },
  })
}

async function append(audit: RunningAudit, from: number, to: number): Promise<number> {
  const batches = []
  for (let first = from + 1; first <= to; first += BATCH) {
    batches.push(Array.from({ length: Math.min(BATCH, to - first + 1) }, (_, at) => event(first + at)))
  }
  const began = performance.now()
  for (const events of batches) await audit.ingest.appendEvents({ events })
  const seconds = (performance.now() - began) / 1000
  // The first thousand warm the process up.
  tell(
    `append ${to - from} events in batches of ${BATCH}`,
    (to - from) / seconds,
    '/s',
    from === 0 ? {} : { least: 5000 },
  )
  return to
}

async function measureProofs({ proofs }: RunningAudit, size: number): Promise<void> {
  const began = performance.now()
  while (!(await proofs.getCheckpoint({ minSize: BigInt(size) }).catch(() => undefined)));
  tell(`${size} entries, until a checkpoint has the last`, performance.now() - began, 'ms', { most: 2000 })
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
  for (let round = 0; round < 500; round += 1) {
    const began = performance.now()
    await work()
    times.push(performance.now() - began)
  }
  times.sort((one, other) => one - other)
  tell(`${name}, p50`, times[250]!, 'ms')
  tell(`${name}, p99`, times[495]!, 'ms', { most: 10 })
}

async function measureExport({ proofs }: RunningAudit, vkey: string): Promise<void> {
  let began = performance.now()
  const chunks: Buffer[] = []
  let index = 0
  for await (const { checkpoint, entries } of proofs.exportEntries({})) {
    if (checkpoint) chunks.push(Buffer.from(`${formatHeader(checkpoint.note)}\n`))
    for (const { leaf, leafHash } of entries)
      chunks.push(formatEntry(index++, Buffer.from(leafHash), leaf), Buffer.from('\n'))
  }
  const rate = () => Math.round(index / ((performance.now() - began) / 1000))
  tell(`${index} entries, export`, rate(), '/s')
  const file = Buffer.concat(chunks)
  async function* read(): AsyncIterable<Buffer> {
    for (let at = 0; at < file.length; at += 1 << 20) yield file.subarray(at, at + (1 << 20))
  }
  began = performance.now()
  const key = findVerifier(vkey)!
  await verifyExport(read(), { name: key.name, keys: [key], policy: undefined })
  tell(`${index} entries, verification of the export`, rate(), '/s', index === SIZES[0] ? {} : { least: 100_000 })
}

type Ask = Parameters<RunningAudit['log']['listEntries']>[0]

async function measureReads(audit: RunningAudit, size: number): Promise<void> {
  const asks: [string, Ask][] = [
    ['first page of 50', {}],
    [`page ${Math.floor(size / 100)}`, { pageToken: await walk(audit, Math.floor(size / 100)) }],
    ['one namespace', { filter: 'namespace = team-3' }],
    ['one resource', { filter: 'resource.name = "team-7/model-7:7"' }],
    [
      'one model by prefix',
      { filter: 'resource.name >= "team-7/model-7:" AND resource.name < "team-7/model-7;" AND namespace = team-7' },
    ],
    ['one actor', { filter: 'actor = person-42' }],
    ['one type', { filter: 'type = alias.moved.v1' }],
    ['a type that never was', { filter: 'type = nothing.v1' }],
    ['part of a name, rare', { filter: 'resource.name:"model-77:"' }],
  ]
  audit.known.set('mk_some', { principal: 'some', roles: { 'team-1': 1, 'team-2': 1, 'team-none': 1 } })
  const some = audit.client(LogService, 'mk_some')
  const measured: [string, Ask, typeof some][] = [
    ...asks.map(([name, ask]): [string, Ask, typeof some] => [name, ask, audit.log]),
    ['all that a reader of three namespaces sees', {}, some],
    ['the same, one actor', { filter: 'actor = person-42' }, some],
    ['the same, the oldest first', { orderBy: 'index' }, some],
  ]
  for (const [name, request, log] of measured) {
    const times = []
    for (let round = 0; round < 20; round += 1) {
      const began = performance.now()
      await log.listEntries(request)
      times.push(performance.now() - began)
    }
    const median = times.sort((one, other) => one - other)[10]!
    tell(`${size} entries, ${name}`, median, 'ms')
  }
}

/** The token of page `page`. */
async function walk({ log }: RunningAudit, page: number): Promise<string> {
  let pageToken = ''
  for (let at = 1; at < page; at += 1) pageToken = (await log.listEntries({ pageToken })).nextPageToken
  return pageToken
}
