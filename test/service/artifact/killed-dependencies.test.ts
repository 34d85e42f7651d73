// MinIO or PostgreSQL killed while the service works with it, at the moment a given request reaches the store.
import { ConnectError } from '@connectrpc/connect'
import { afterAll, beforeAll, beforeEach, describe, test, vi } from 'vitest'
import { MIB } from '../../support/artifact.ts'
import { makeBytes } from '../../support/bytes.ts'
import {
  expectNothingLeft,
  pull,
  pushInOneStream,
  pushInParts,
  startChaosArtifact,
  type ChaosArtifact,
} from '../../support/chaos-artifact.ts'
import type { Operation } from '../../support/chaos-exchange.ts'
import { startKillableMinio, startKillablePostgres, type Killable } from '../../support/killable.ts'
import { createBucketOn } from '../../support/minio.ts'

const SMALL = 100_000
const LARGE = 16 * MIB + 7

let minio: Awaited<ReturnType<typeof startKillableMinio>>
let postgres: Awaited<ReturnType<typeof startKillablePostgres>>
let place: ChaosArtifact
const acknowledged: Buffer[] = []

beforeAll(async () => {
  ;[minio, postgres] = await Promise.all([startKillableMinio(), startKillablePostgres()])
  const database = { url: postgres.url, drop: async () => {} }
  place = await startChaosArtifact({ bucket: await createBucketOn(minio.access), database })
}, 120_000)
afterAll(async () => {
  await place.stop()
  await Promise.all([minio.stop(), postgres.stop()])
})

/** Kills when a request of this kind is on its way to the store. */
function killAt(operation: Operation, victim: Killable): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  place.chaos.decide = (seen) => {
    if (seen !== operation) return undefined
    place.chaos.decide = () => undefined
    victim.kill().then(resolve, reject)
    return undefined
  }
  return promise
}

async function surviveKill(victim: Killable, operation: Operation, go: () => Promise<void>): Promise<void> {
  const killed = killAt(operation, victim)
  const first = go().catch((error: unknown) => ConnectError.from(error))
  await killed
  await first
  await victim.start()
  await vi.waitFor(
    async () => {
      // A replica cannot complete an upload whose lease was not released.
      await place.artifact.sql('update artifact.upload set lease_until = now() where lease_until > now()')
      await go()
    },
    { timeout: 25_000, interval: 200 },
  )
}

const MOMENTS: [Operation, number, typeof pushInOneStream | typeof pushInParts][] = [
  ['PutObject', SMALL, pushInOneStream],
  ['CreateMultipartUpload', LARGE, pushInOneStream],
  ['UploadPart', LARGE, pushInOneStream],
  ['CompleteMultipartUpload', LARGE, pushInOneStream],
  ['UploadPart', LARGE, pushInParts],
  ['CompleteMultipartUpload', LARGE, pushInParts],
  ['GetObject', LARGE, pushInParts],
]

describe.each(['MinIO', 'PostgreSQL'])('%s killed', (name) => {
  let victim: Killable
  beforeEach(() => {
    victim = name === 'MinIO' ? minio : postgres
  })

  test.each(MOMENTS)('at %s of %d bytes: the upload succeeds when it is repeated', async (operation, size, push) => {
    const bytes = makeBytes(size, `${name} ${operation} ${size} ${push.name}`)
    await surviveKill(victim, operation, () => push(place, bytes))
    acknowledged.push(bytes)
    await pull(place, bytes)
  })

  test('in a download: it succeeds when it is repeated', async () => {
    const bytes = makeBytes(2 * LARGE, `${name}, to be downloaded`)
    await pushInOneStream(place, bytes)
    await surviveKill(victim, 'GetObject', () => pull(place, bytes))
  })
})

test('every acknowledged blob is stored, and no other object', async () => {
  for (const bytes of acknowledged) await pull(place, bytes)
  await expectNothingLeft(place)
})
