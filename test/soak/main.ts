// `npm run soak -- --minutes 60 --seed 7`: with its own PostgreSQL and MinIO.
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { migrate } from '../../services/migrate.ts'
import { startPostgres } from '../../services/standalone/postgres.ts'
import { closeSql } from '../support/database.ts'
import { startMinio } from '../support/minio-server.ts'
import { chosenSeed } from '../support/random.ts'
import { soak } from './soak.ts'
import { violationsOf } from './verdict.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string' }, seed: { type: 'string' } } })
const minutes = Number(values.minutes ?? 10)
const seed = Number(values.seed ?? chosenSeed())

const directory = await mkdtemp(join(tmpdir(), 'modelkeep-soak-'))
await chmod(directory, 0o755)
const postgres = await startPostgres({ directory: join(directory, 'postgres') })
const minio = await startMinio()
const databaseUrl = postgres.url('postgres')
await migrate('artifact', databaseUrl)
console.log(`${minutes} minutes, seed ${seed}`)
try {
  const onLine = (line: string): void => console.log(`${new Date().toISOString()} ${line}`)
  const report = await soak({ seconds: minutes * 60, seed, databaseUrl, access: minio.access, onLine })
  console.log(JSON.stringify(report, undefined, 2))
  const violations = violationsOf(report)
  console.log(violations.length === 0 ? 'no violations' : violations.join('\n'))
  process.exitCode = violations.length === 0 ? 0 : 1
} finally {
  await closeSql(databaseUrl)
  await minio.stop()
  await postgres.stop()
  await rm(directory, { recursive: true, force: true })
}
