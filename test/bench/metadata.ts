// `npm run bench:metadata [-- --quick] [-- --json FILE]`: the rates of reads and writes as shares of the baseline, which is the
// same work through bare `pg`; the rates in a large model as shares of those in a small one; and the latency under load.
// PostgreSQL, processes and sockets are real. The targets are ratios, because they hardly depend on the machine.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Figures } from './figures.ts'
import { makeHome } from './home.ts'
import { measureLatency } from './metadata/latency.ts'
import { compareReads, compareWrites, IN_FLIGHT, printRoundTrips } from './metadata/ratios.ts'
import { compareRegister } from './metadata/register.ts'
import { openRegistry } from './metadata/registry.ts'
import { comparePages, compareSizes, PAGE } from './metadata/sizes.ts'
import { insertSubject, type Subject } from './metadata/subjects.ts'
import { openWorld } from './metadata/world.ts'

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean' }, json: { type: 'string' } },
})
const SMALL = 1_000
const LARGE = options.quick ? 20_000 : 1_000_000
/** The size at which pages and sizes are compared. */
const PAGED = options.quick ? 20_000 : 100_000
const ROUNDS = options.quick ? { count: 3, milliseconds: 500 } : { count: 9, milliseconds: 1_000 }
const LATENCY_MS = options.quick ? 4_000 : 20_000

const figures = new Figures()
const home = await makeHome()
try {
  await measureRatios(join(home, 'ratios'))
  await measureSizes(join(home, 'sizes'))
  await figures.conclude({ small: SMALL, large: LARGE, paged: PAGED }, options.json)
} finally {
  await rm(home, { recursive: true, force: true })
}

async function measureRatios(directory: string): Promise<void> {
  await mkdir(directory)
  const world = await openWorld(directory)
  try {
    const insert = (model: string, count: number): Promise<Subject> => insertSubject(world.databaseUrl, model, count)
    const small = await insert('small', SMALL)
    const written: Subject[] = []
    for (let index = 0; index < 2 * IN_FLIGHT; index += 1) written.push(await insert(`written-${index}`, 2))
    const large = await insert('large', LARGE)
    console.log(`filled ${SMALL} and ${LARGE} versions\n`)
    await printRoundTrips(world, small, written)
    await compareReads(figures, world, [small, large], ROUNDS)
    await compareWrites(figures, world, written, ROUNDS)
    await compareRegister(figures, world, written, ROUNDS)
    await measureLatency(figures, world, small, LATENCY_MS)
  } finally {
    await world.close()
  }
}

async function measureSizes(directory: string): Promise<void> {
  const registry = await openRegistry(directory)
  try {
    await registry.fill('small', SMALL)
    await registry.fill('large', PAGED)
    const rounds = options.quick ? 11 : 41
    const pageSize = Math.min(50, Math.floor(PAGED / PAGE) - 1)
    await compareSizes(figures, registry, rounds, pageSize)
    await comparePages(figures, registry, rounds, pageSize)
  } finally {
    await registry.close()
  }
}
