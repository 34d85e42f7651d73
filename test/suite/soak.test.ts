import { afterAll, expect, inject, test } from 'vitest'
import { createDatabase } from '../support/database.ts'
import type { S3Access } from '../support/minio-server.ts'
import { chosenSeed } from '../support/random.ts'
import { soak } from '../soak/soak.ts'
import { violationsOf } from '../soak/verdict.ts'

const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 10)

const database = await createDatabase()
afterAll(() => database.drop())

test.skipIf(process.platform !== 'linux')(
  'loses, corrupts, leaks and leaves nothing under random failures and kills',
  { timeout: (SECONDS + 240) * 1000 },
  async () => {
    const seed = chosenSeed()
    console.log(`CHAOS_SEED=${seed} SOAK_SECONDS=${SECONDS}`)
    const access = (await (await fetch(inject('minioUrl'))).json()) as S3Access
    const report = await soak({ seconds: SECONDS, seed, databaseUrl: database.url, access, onLine: console.log })
    console.log(JSON.stringify(report))
    expect(violationsOf(report)).toEqual([])
    expect(report.pushes).toBeGreaterThan(5)
    expect(report.versions).toBeGreaterThan(0)
    expect(report.collected).toBeGreaterThan(0)
  },
)
