// `npm run bench:metadata [-- --quick] [-- --json FILE]`: compares the rates of create, resolve and list in small and large
// models, on real PostgreSQL and gRPC. The targets are ratios, because they hardly depend on the machine.
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { makeHome } from './home.ts'
import { openRegistry, type Registry } from './metadata-registry.ts'

interface Measure {
  name: string
  /** Calls in one round. */
  calls: number
  concurrency: number
  call: (model: string, turn: number) => Promise<unknown>
}

interface Figure {
  name: string
  /** The two compared subjects. */
  of: [string, string]
  /** Calls per second, the median of the rounds. */
  rates: [number, number]
  /** Milliseconds per call, the median of all calls. */
  medians: [number, number]
  /** The second rate divided by the first, the median of the rounds. */
  ratio: number
  target: number
}

const SMALL = 1_000
const PAGE = 1_000
/** The minimum rate of a large model, as a share of the rate of a small one. */
const SIZE_TARGET = 0.8
/** Page 1,000 takes at most 1.25 times as long as page 1. */
const PAGE_TARGET = 0.8
const ATTEMPTS = 3

const { values: options } = parseArgs({ options: { quick: { type: 'boolean' }, json: { type: 'string' } } })
const large = options.quick ? 20_000 : 100_000
const rounds = options.quick ? 21 : 41
const pageSize = Math.min(50, Math.floor(large / PAGE) - 1)

const directory = await makeHome()
const registry = await openRegistry(join(directory, 'postgres'))
try {
  const began = performance.now()
  for (const [model, count] of [
    ['small', SMALL],
    ['large', large],
  ] as const)
    await registry.fill(model, count)
  console.log(`filled ${SMALL} and ${large} versions in ${((performance.now() - began) / 1000).toFixed(1)} s\n`)
  const figures = [...(await compareSizes(registry)), ...(await comparePages(registry))]
  const missed = figures.filter(({ ratio, target }) => ratio < target)
  print(figures)
  if (options.json) await writeFile(options.json, `${JSON.stringify({ small: SMALL, large, figures }, null, 2)}\n`)
  console.log(missed.length === 0 ? '\nall targets are met' : `\nmissed: ${missed.map(({ name }) => name).join(', ')}`)
  process.exitCode = missed.length === 0 ? 0 : 1
} finally {
  await registry.close()
  await rm(directory, { recursive: true, force: true })
}

async function compareSizes({ create, resolve, list, counts }: Registry): Promise<Figure[]> {
  const number = (model: string, turn: number): number => ((turn * 7919) % counts[model]!) + 1
  const measures: Measure[] = [
    { name: 'create', calls: 8, concurrency: 2, call: (model) => create(model) },
    {
      name: 'resolve by number',
      calls: 20,
      concurrency: 2,
      call: (model, turn) => resolve(model, { case: 'number', value: number(model, turn) }),
    },
    {
      name: 'resolve by alias',
      calls: 20,
      concurrency: 2,
      call: (model) => resolve(model, { case: 'alias', value: 'production' }),
    },
    {
      name: 'resolve latest',
      calls: 20,
      concurrency: 2,
      call: (model) => resolve(model, { case: 'alias', value: 'latest' }),
    },
    { name: 'list page 1 by number', calls: 6, concurrency: 2, call: (model) => list(model, '', '', pageSize) },
    {
      name: 'list page 1 by metric',
      calls: 6,
      concurrency: 2,
      call: (model) => list(model, 'metrics.f1 desc', '', pageSize),
    },
  ]
  const figures: Figure[] = []
  for (const measure of measures) {
    const of: [string, string] = [`${SMALL} versions`, `${large} versions`]
    figures.push(await compare(measure, ['small', 'large'], of, SIZE_TARGET))
  }
  return figures
}

async function comparePages({ list, tokenAt }: Registry): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const [name, orderBy] of [
    ['number', ''],
    ['metric', 'metrics.f1 desc'],
    ['time', 'create_time'],
  ] as const) {
    const token = await tokenAt('large', orderBy, (PAGE - 1) * pageSize)
    const tokens: Record<string, string> = { first: '', deep: token }
    const call = (which: string) => list('large', orderBy, tokens[which]!, pageSize)
    const measure = { name: `list by ${name}`, calls: 6, concurrency: 2, call }
    figures.push(await compare(measure, ['first', 'deep'], ['page 1', `page ${PAGE}`], PAGE_TARGET))
  }
  return figures
}

/** Measures a missed target again: a busy machine misses sometimes, a slow query always. */
async function compare(
  measure: Measure,
  subjects: [string, string],
  of: [string, string],
  target: number,
): Promise<Figure> {
  for (let attempt = 1; ; attempt += 1) {
    const [first, second] = await interleave(measure, subjects)
    const found = figure(measure.name, of, first!, second!, target)
    if (found.ratio >= target || attempt === ATTEMPTS) return found
    console.log(`${measure.name}: ratio ${found.ratio.toFixed(2)}, measured again`)
  }
}

interface Rounds {
  rates: number[]
  times: number[]
}

/** Alternates the two subjects in many short rounds, so that other load affects both. */
async function interleave(measure: Measure, subjects: [string, string]): Promise<Rounds[]> {
  const results = subjects.map((): Rounds => ({ rates: [], times: [] }))
  for (let round = -1; round < rounds; round += 1) {
    const order = round % 2 === 0 ? [0, 1] : [1, 0]
    for (const which of order) {
      const times = await run(measure, subjects[which]!)
      if (round < 0) continue
      results[which]!.rates.push((measure.calls * 1000) / times.elapsed)
      results[which]!.times.push(...times.each)
    }
  }
  return results
}

async function run({ calls, concurrency, call }: Measure, subject: string) {
  const each: number[] = []
  let next = 0
  const began = performance.now()
  const worker = async (): Promise<void> => {
    while (next < calls) {
      const turn = (next += 1)
      const start = performance.now()
      await call(subject, turn)
      each.push(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return { elapsed: performance.now() - began, each }
}

function figure(name: string, of: [string, string], first: Rounds, second: Rounds, target: number): Figure {
  const rates: [number, number] = [median(first.rates), median(second.rates)]
  const medians: [number, number] = [median(first.times), median(second.times)]
  const ratio = median(second.rates.map((rate, round) => rate / first.rates[round]!))
  return { name, of, rates, medians, ratio, target }
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

function print(figures: Figure[]): void {
  for (const { name, of, rates, medians, ratio, target } of figures) {
    const side = (index: 0 | 1): string =>
      `${of[index]}: ${rates[index].toFixed(0)}/s, p50 ${medians[index].toFixed(2)} ms`
    const verdict = ratio >= target ? 'met' : 'MISSED'
    console.log(
      `${name.padEnd(22)} ${side(0).padEnd(40)} ${side(1).padEnd(42)} ratio ${ratio.toFixed(2)} ≥ ${target} ${verdict}`,
    )
  }
}
