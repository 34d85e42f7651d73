// `npm run bench:artifact [-- --quick] [-- --json FILE] [-- --profile DIR] [-- --only NAME]
// [-- --rounds N] [-- --mib N]`: compares transfers through the service with direct transfers to and from the store. MinIO,
// PostgreSQL and gRPC are real, all on this machine. Every round measures every path in turn, so that other load affects all of
// them. The targets are ratios.
import { randomFillSync } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { countBuffersInHeapLimit } from '#lib/process/heap.ts'
import { connectClient, directClient, grpcJsClient, MIB, renew, type BlobClient } from './artifact-clients.ts'
import { directModeClient, type DirectModeClient } from './artifact-direct-mode.ts'
import { measureCrash, measureEarlyExit, measureLatency, measureMemory, measureSmall } from './artifact-scenes.ts'
import { openWorld, type World } from './artifact-world.ts'
import { Figures, median } from './figures.ts'
import { watchUsage, type Usage } from './processes.ts'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    json: { type: 'string' },
    profile: { type: 'string' },
    only: { type: 'string' },
    rounds: { type: 'string' },
    mib: { type: 'string' },
  },
})
/** A part has 16 MiB, and four are sent at once, so smaller blobs would measure only start and end. */
const SIZE = Number(options.mib ?? 256) * MIB
const PROCESSES = ['service', 'MinIO', 'client']
const ROUNDS = Number(options.rounds ?? (options.quick ? 2 : 7))

interface Path {
  client: BlobClient & Partial<Pick<DirectModeClient, 'complete'>>
  /** The process id of the service on the path. */
  pid?: number
  /** Whether the JavaScript heap is limited as in `modelkeep`; other clients have Node's defaults. */
  isOurs?: boolean
}

const figures = new Figures()
const opened = await openWorld(options.profile)
try {
  if (!options.only || options.only === 'modes') await compareModes(opened)
  const scenes = {
    latency: measureLatency,
    memory: measureMemory,
    early: measureEarlyExit,
    small: measureSmall,
    crash: measureCrash,
  }
  for (const [name, measure] of Object.entries(scenes)) {
    if (!options.only || options.only === name) await measure(opened, figures, options.quick === true)
  }
  await figures.conclude({ sizeBytes: SIZE, rounds: ROUNDS }, options.json)
} finally {
  await opened.close()
}

async function compareModes(world: World): Promise<void> {
  const [fast, general] = [await world.startService('zero-copy'), await world.startService('general')]
  const paths: Record<string, Path> = {
    direct: { client: directClient(world) },
    'direct mode, our client': { client: directModeClient(fast.address), pid: fast.pid, isOurs: true },
    'zero-copy, grpc-js': { client: grpcJsClient(fast.address), pid: fast.pid },
    'zero-copy, our client': { client: connectClient(fast.address, true), pid: fast.pid, isOurs: true },
    'general, grpc-js': { client: grpcJsClient(general.address), pid: general.pid },
    'general, connect-node': { client: connectClient(general.address, false), pid: general.pid },
  }
  const up: Record<string, Usage[]> = {}
  const down: Record<string, Usage[]> = {}
  const readBack: number[] = []
  const bytes = randomFillSync(Buffer.allocUnsafeSlow(SIZE))
  // The first round is a warm-up.
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const [name, path] of Object.entries(paths)) {
      const blob = renew(bytes)
      const upload = await watch(world, path, () => path.client.upload(blob))
      if (path.client.complete) readBack.push((await watch(world, path, () => path.client.complete!())).seconds)
      const download = await watch(world, path, () => path.client.download(blob))
      await world.clear()
      const rates = [upload, download].map(({ seconds }) => (SIZE / MIB / seconds).toFixed(0))
      console.error(`round ${round + 1}: ${name.padEnd(24)} ${rates.join(' up, ')} down`)
      if (round < 0) continue
      ;(up[name] ??= []).push(upload)
      ;(down[name] ??= []).push(download)
    }
  }
  report(
    'upload',
    up,
    { 'direct mode, our client': 0.95, 'zero-copy, grpc-js': 0.65, 'zero-copy, our client': 0.65 },
    1.4,
  )
  figures.report('direct mode, reading back what was sent', SIZE / MIB / median(readBack), 'MiB/s')
  report(
    'download',
    down,
    { 'direct mode, our client': 0.95, 'zero-copy, grpc-js': 0.45, 'zero-copy, our client': 0.6 },
    2,
  )
  for (const { client } of Object.values(paths)) client.close()
  await Promise.all([fast.kill(), general.kill()])
}

function watch(world: World, { pid, isOurs = false }: Path, work: () => Promise<void>): Promise<Usage> {
  countBuffersInHeapLimit(isOurs)
  return watchUsage({ MinIO: world.minioPid, client: process.pid, ...(pid ? { service: pid } : {}) }, work)
}

/** Reports each path against the direct path, and the zero-copy handler against the general adapter. Each ratio has a second
 * one: the ratio if these processes used all cores. */
function report(way: string, usages: Record<string, Usage[]>, targets: Record<string, number>, gain: number): void {
  const gib = SIZE / 1024 / MIB
  console.log(
    `\n${way} of ${SIZE / MIB} MiB`.padEnd(26) +
      '   MiB/s  | CPU s/GiB: service   MinIO  client | MiB/s if all cores worked | peak MiB: service',
  )
  const cpuOf = (name: string, process: string): number =>
    median(usages[name]!.map(({ cpu }) => (cpu[process] ?? 0) / gib))
  const allCpuOf = (name: string): number => PROCESSES.reduce((sum, process) => sum + cpuOf(name, process), 0)
  const rateOf = (name: string): number => median(usages[name]!.map(({ seconds }) => SIZE / MIB / seconds))
  const limitOf = (name: string): number => (availableParallelism() * 1024) / allCpuOf(name)
  for (const [name, rounds] of Object.entries(usages)) {
    const peak = median(rounds.map(({ peakMib }) => peakMib['service'] ?? 0)).toFixed(0)
    const cpus = PROCESSES.map((process) => cpuOf(name, process).toFixed(2).padStart(8)).join('')
    const limit = limitOf(name).toFixed(0).padStart(25)
    const rate = rateOf(name).toFixed(0).padStart(8)
    console.log(`  ${name.padEnd(24)}${rate}  |           ${cpus} | ${limit} | ${peak.padStart(8)}`)
  }
  const ratio = (name: string, of: string): number =>
    median(usages[name]!.map(({ seconds }, round) => usages[of]![round]!.seconds / seconds))
  for (const [name, least] of Object.entries(targets)) {
    figures.report(`${way}, ${name}, against direct`, ratio(name, 'direct'), '×', { least })
    figures.report('  if all cores worked', limitOf(name) / rateOf('direct'), '×')
  }
  const [fast, general] = ['zero-copy, grpc-js', 'general, grpc-js']
  figures.report(`${way}, grpc-js, zero-copy handler against general`, ratio(fast, general), '×', { least: gain })
  figures.report('  if all cores worked', allCpuOf(general) / allCpuOf(fast), '×')
  figures.report('  CPU of the service alone', cpuOf(general, 'service') / cpuOf(fast, 'service'), '×')
}
