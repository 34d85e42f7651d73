// `npm run mutate -- --room audit`: applies one-line faults to a copy of the tree, one at a time, and reports those that no
// test catches. `npm run mutate -- --help` prints the options.
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { seededRandom, shuffle } from '../support/random.ts'
import { Bench } from './bench.ts'
import { placeOf, readFaults, REPOSITORY, type Fault } from './faults.ts'
import { pickFreshFaults, pickProportionally } from './fresh.ts'
import { isRoom, ROOM_NAMES, type RoomName } from './rooms.ts'
import { screenFaults } from './screen.ts'
import { describeChange, describeResult, drawTable } from './table.ts'
import { tryFaults } from './trial.ts'

const HELP = `npm run mutate -- [options]

  --room NAME       only this room (may be repeated): ${ROOM_NAMES.join(', ')}
  --only TEXT       only faults with this text in the file, the tests or what they do
  --sample N        N faults of the lists, chosen by the seed; none whose tests are slow
  --fresh N         N new faults instead of the lists, in lines that the seed chooses; none that the check refuses
  --wide            with --fresh: all tests of the room, not just those next to the file
  --seed TEXT       of --sample and --fresh; default 1
  --within SECONDS  try no further fault after this time
  --jobs N          how many faults at a time; default 2
  --json FILE       writes the results, fresh faults in the form of the lists
  --list            prints the faults and tries none

Exits with 1 where a fault survives or an entry is wrong.`

const { values } = parseArgs({
  options: {
    room: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', default: '' },
    sample: { type: 'string' },
    fresh: { type: 'string' },
    wide: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    within: { type: 'string', default: 'Infinity' },
    jobs: { type: 'string', default: '2' },
    json: { type: 'string' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

/** Candidates per fresh fault, because the compiler and the linter reject some. */
const SPARE = 4

if (values.help) console.log(HELP)
else if (values.list) for (const fault of await chooseFaults()) printFault(fault)
else process.exitCode = await run(await chooseFaults())

async function chooseFaults(): Promise<Fault[]> {
  const unknown = values.room.find((name) => !isRoom(name))
  if (unknown !== undefined) throw new Error(`there is no room ${unknown}`)
  const rooms: RoomName[] = values.room.length > 0 ? values.room.filter(isRoom) : ROOM_NAMES
  const random = seededRandom(createHash('sha256').update(values.seed).digest().readUInt32BE())
  if (values.fresh !== undefined) {
    const candidates = await pickFreshFaults(SPARE * Number(values.fresh), rooms, random, values.wide)
    return pickProportionally(await screenFaults(candidates), candidates, Number(values.fresh), rooms)
  }
  const faults = readFaults(rooms).filter((fault) => JSON.stringify(fault).includes(values.only))
  if (values.sample === undefined) return faults
  return shuffle(
    faults.filter((fault) => !isSlow(fault)),
    random,
  ).slice(0, Number(values.sample))
}

/** Whether the tests start processes of all services, or are listed as slow. */
function isSlow({ slow, tests }: Fault): boolean {
  return slow === true || tests.some((path) => path.startsWith('test/suite/'))
}

function printFault(fault: Fault): void {
  console.log([`${placeOf(fault)}  ${fault.says}`, ...describeChange(fault), `    ${fault.tests.join(' ')}`].join('\n'))
}

async function run(faults: Fault[]): Promise<number> {
  const start = performance.now()
  const secondsGone = (): number => (performance.now() - start) / 1000
  const options = { tree: REPOSITORY, database: true }
  const jobs = Math.max(1, Math.min(Number(values.jobs), faults.length))
  const benches = await Promise.all(Array.from({ length: jobs }, () => Bench.open(options)))
  const close = (): Promise<unknown> => Promise.all(benches.map((bench) => bench.close()))
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void close().then(() => process.exit(1)))
  try {
    const results = await tryFaults(faults, {
      benches,
      onResult: (result) => console.log(describeResult(result)),
      isOver: () => secondsGone() > Number(values.within),
    })
    const left = faults.length - results.length
    console.log(`\n${drawTable(results)}\n`)
    console.log(
      `seed ${values.seed}, ${secondsGone().toFixed(0)} seconds${left > 0 ? `, ${left} not tried for want of time` : ''}`,
    )
    if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(results, undefined, 2)}\n`)
    return results.every(({ outcome }) => outcome === 'caught' || outcome === 'timed out') ? 0 : 1
  } finally {
    await close()
  }
}
