// Compares the rate of each call with the rate of its baseline, in the same run.
import { createHash } from 'node:crypto'
import { median, type Figures } from '../figures.ts'
import { watchUsage } from '../processes.ts'
import { aliasCall, createCall, listCall, resolveCall, type Encoding } from './calls.ts'
import { countRoundTrips } from './round-trips.ts'
import { openBaseline, type Baseline } from './baseline.ts'
import { measureRate, openGrpc, openJson, type Connection, type Work } from './load.ts'
import { newDigest } from './registry.ts'
import type { Subject } from './subjects.ts'
import type { World } from './world.ts'

export const IN_FLIGHT = 16
const PAGE = 50

export interface Rounds {
  count: number
  milliseconds: number
}

interface Comparison {
  name: string
  target: number
  baseline: Work
  work: Work
}

/** Compares in rounds that alternate, so that other load affects both sides. */
export async function compare(figures: Figures, comparison: Comparison, rounds: Rounds, world: World): Promise<void> {
  const { name, target, baseline, work } = comparison
  const ratios: number[] = []
  const rates: number[] = []
  const usage: Record<string, number> = {}
  let iteration = 0
  const rate = async (one: Work): Promise<number> => {
    const result = await measureRate(one, IN_FLIGHT, rounds.milliseconds, iteration)
    iteration += 1_000_000
    return result
  }
  for (let round = -1; round < rounds.count; round += 1) {
    const baselineRate = await rate(baseline)
    let ownRate = 0
    const used = await watchUsage(world.pids, async () => void (ownRate = await rate(work)))
    if (round < 0) continue
    ratios.push(ownRate / baselineRate)
    rates.push(ownRate)
    for (const [process, seconds] of Object.entries(used.cpu)) {
      usage[process] = (usage[process] ?? 0) + (seconds * 1000) / (ownRate * used.seconds) / rounds.count
    }
  }
  figures.report(`${name}, as a share of the baseline`, median(ratios), '', { least: target })
  const cpu = Object.entries(usage).map(([process, milliseconds]) => `${process} ${milliseconds.toFixed(2)}`)
  console.log(`  ${Math.round(median(rates))}/s; CPU in ms a call: ${cpu.join(', ')}`)
}

/** Compares the reads of each subject, which is a small or a large model. */
export async function compareReads(figures: Figures, world: World, subjects: Subject[], rounds: Rounds): Promise<void> {
  const baseline = openBaseline(world.databaseUrl)
  const connections = {
    gRPC: await openGrpc(world.metadata.address, world.token),
    JSON: openJson(world.metadata.address, world.token),
  }
  for (const subject of subjects) {
    for (const encoding of ['gRPC', 'JSON'] as const) {
      const target = encoding === 'gRPC' ? 0.35 : 0.3
      for (const { name, baselineWork, work } of resolves(baseline, connections[encoding], encoding, subject)) {
        const label = `${name} of ${subject.count} versions, ${encoding}`
        await compare(figures, { name: label, target, baseline: baselineWork, work }, rounds, world)
      }
    }
    const call = listCall('gRPC', subject.model, PAGE)
    const list = { baseline: () => baseline.list(subject.modelId, PAGE), work: () => connections.gRPC.call(call) }
    const name = `list page of ${PAGE} of ${subject.count} versions`
    await compare(figures, { name, target: 0.3, ...list }, rounds, world)
  }
  for (const connection of Object.values(connections)) connection.close()
  await baseline.close()
}

function resolves(baseline: Baseline, connection: Connection, encoding: Encoding, { model, count }: Subject) {
  const number = (iteration: number): number => ((iteration * 7919) % count) + 1
  const alias = resolveCall(encoding, model, { case: 'alias', value: 'production' })
  return [
    {
      name: 'resolve by alias',
      baselineWork: () => baseline.resolveAlias(model, 'production'),
      work: () => connection.call(alias),
    },
    {
      name: 'resolve by number',
      baselineWork: (iteration: number) => baseline.resolveNumber(model, number(iteration)),
      work: (iteration: number) =>
        connection.call(resolveCall(encoding, model, { case: 'number', value: number(iteration) })),
    },
    {
      name: 'resolve by digest',
      baselineWork: (iteration: number) => baseline.resolveDigest(model, seededDigest(number(iteration))),
      work: (iteration: number) =>
        connection.call(resolveCall(encoding, model, { case: 'digest', value: seededDigest(number(iteration)) })),
    },
  ]
}

/** Returns the digest of the version that `insertVersions` inserts with this number. */
function seededDigest(number: number): string {
  const md5 = (text: string): string => createHash('md5').update(text).digest('hex')
  return `sha256:${md5(String(number))}${md5(String(-number))}`
}

/** Compares writes. Each write in flight has its own model. */
export async function compareWrites(figures: Figures, world: World, models: Subject[], rounds: Rounds): Promise<void> {
  const baseline = openBaseline(world.databaseUrl)
  const connection = await openGrpc(world.metadata.address, world.token)
  const [own, bare] = [models.slice(0, IN_FLIGHT), models.slice(IN_FLIGHT)]
  const pick = createLender(own)
  const pickBare = createLender(bare)
  const create = {
    name: 'CreateVersion',
    target: 0.4,
    baseline: () => pickBare(({ modelId }) => baseline.create(modelId)),
    work: () => pick(({ model }) => connection.call(createCall('gRPC', model, newDigest()))),
  }
  await compare(figures, create, rounds, world)
  const alias = {
    name: 'SetAliases',
    target: 0.4,
    baseline: (iteration: number) => pickBare(({ modelId }) => baseline.setAlias(modelId, (iteration % 2) + 1)),
    work: () => pick((subject) => moveAlias(connection, subject)),
  }
  await compare(figures, alias, rounds, world)
  connection.close()
  await baseline.close()
}

/** The current target of the alias by model. */
const targets = new Map<string, number>()

/** Moves the alias to the version, or by default between the first two versions. */
export async function moveAlias(connection: Connection, { model }: Subject, number?: number): Promise<void> {
  const from = targets.get(model) ?? 0
  const to = number ?? (from === 1 ? 2 : 1)
  await connection.call(aliasCall('gRPC', model, to, from))
  targets.set(model, to)
}

/** Returns a function that lends each subject to one piece of work at a time. */
export function createLender<T>(subjects: T[]): <R>(work: (subject: T) => Promise<R>) => Promise<R> {
  const free = [...subjects]
  return async (work) => {
    const subject = free.pop()!
    try {
      return await work(subject)
    } finally {
      free.unshift(subject)
    }
  }
}

const COUNTED_CALLS = 50

/** Prints the round trips of each call to the database, including those of background jobs meanwhile. */
export async function printRoundTrips(world: World, { model }: Subject, [written]: Subject[]): Promise<void> {
  const counter = await countRoundTrips(world.databaseUrl)
  const service = await world.startMetadata(counter.url)
  const connection = await openGrpc(service.address, world.token)
  const calls: Record<string, Work> = {
    'resolve by alias': () => connection.call(resolveCall('gRPC', model, { case: 'alias', value: 'production' })),
    list: () => connection.call(listCall('gRPC', model, PAGE)),
    CreateVersion: () => connection.call(createCall('gRPC', written!.model, newDigest())),
    SetAliases: () => moveAlias(connection, written!),
  }
  for (const [name, work] of Object.entries(calls)) {
    for (let iteration = 0; iteration < COUNTED_CALLS; iteration += 1) await work(iteration)
    const before = counter.count()
    for (let iteration = 0; iteration < COUNTED_CALLS; iteration += 1) await work(iteration)
    const roundTrips = (counter.count() - before) / COUNTED_CALLS
    console.log(`round trips to the database, ${name}: ${roundTrips.toFixed(1)}`)
  }
  connection.close()
  await service.stop()
  counter.close()
}
