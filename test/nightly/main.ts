// `npm run nightly`: runs the tests that take too long for every run, one after the other, and prints a line for each. Exits
// with 1 if one fails; the line names a file with its full output.
import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chosenSeed } from '../support/random.ts'

interface Task {
  name: string
  /** The arguments of Node. */
  command: string[]
  environment?: Record<string, string>
}

const { values } = parseArgs({
  options: {
    'soak-minutes': { type: 'string', default: '60' },
    seeds: { type: 'string', default: '5' },
    kills: { type: 'string', default: '200' },
    only: { type: 'string', default: '' },
  },
})

const vitest = (...files: string[]): string[] => [join('node_modules', 'vitest', 'vitest.mjs'), 'run', ...files]
const MEMORY = ['test/service/artifact/large.test.ts', 'test/suite/large-file.test.ts']
const CHAOS = [
  'test/service/artifact/chaos-random.test.ts',
  'test/service/artifact/hostile-transfers.test.ts',
  'test/service/audit/relay-chaos.test.ts',
]

function chaos(): Task {
  const seed = String(chosenSeed())
  const environment = { CHAOS_SEED: seed, CHAOS_ROUNDS: '40' }
  return { name: `chaos with seed ${seed}`, command: vitest(...CHAOS), environment }
}

const soakSeed = String(chosenSeed())
const killSeed = String(chosenSeed())
const tasks: Task[] = [
  { name: 'memory at 2 GiB', command: vitest(...MEMORY), environment: { LARGE_MIB: '2048' } },
  {
    name: 'honest client beside abusers',
    command: vitest('test/suite/abuse.test.ts'),
    environment: { ABUSE_MAX_MS: '1000' },
  },
  ...Array.from({ length: Number(values.seeds) }, chaos),
  {
    name: `${values.kills} kills of the log, its sender and their database with seed ${killSeed}`,
    command: ['test/kill/audit.ts', '--runs', values.kills, '--seed', killSeed],
  },
  {
    name: `soak of ${values['soak-minutes']} minutes with seed ${soakSeed}`,
    command: ['test/soak/main.ts', '--minutes', values['soak-minutes'], '--seed', soakSeed],
  },
].filter(({ name }) => name.includes(values.only))

const folder = await mkdtemp(join(tmpdir(), 'modelkeep-nightly-'))
let failures = 0
for (const [at, task] of tasks.entries()) {
  const output = join(folder, `${at + 1}.log`)
  const began = performance.now()
  const isPassed = await run(task, output)
  if (isPassed) await rm(output)
  else failures += 1
  const minutes = ((performance.now() - began) / 60_000).toFixed(1)
  console.log(`${isPassed ? 'passed' : 'FAILED'}  ${task.name}, ${minutes} min${isPassed ? '' : `; see ${output}`}`)
}
if (tasks.length === 0) console.log(`no task matches "${values.only}"`)
if (failures === 0) await rm(folder, { recursive: true })
process.exitCode = failures > 0 || tasks.length === 0 ? 1 : 0

async function run({ command, environment }: Task, output: string): Promise<boolean> {
  const file = createWriteStream(output)
  const child = spawn(process.execPath, command, {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.pipe(file, { end: false })
  child.stderr.pipe(file, { end: false })
  const code = await new Promise((resolve) => child.once('close', resolve))
  file.end()
  return code === 0
}
