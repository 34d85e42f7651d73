// `npm run kill:audit -- --runs 200 --seed 7`: with its own PostgreSQL and services.
import { parseArgs } from 'node:util'
import { runKillMatrix } from '../support/kill-matrix.ts'
import { chosenSeed } from '../support/random.ts'

const { values } = parseArgs({ options: { runs: { type: 'string' }, seed: { type: 'string' } } })
const runs = Number(values.runs ?? 200)
const seed = Number(values.seed ?? chosenSeed())

console.log(`${runs} runs, seed ${seed}`)
const report = await runKillMatrix({ runs, seed, onLine: (line) => console.log(line) })
console.log(JSON.stringify(report, undefined, 2))
process.exitCode = report.violations.length === 0 ? 0 : 1
