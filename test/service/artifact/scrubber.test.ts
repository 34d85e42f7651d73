// The scrubber: the blobs it reads, its rate, the effect of verdicts. The tests run it one blob at a time.
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { Verdict } from '#gen/modelkeep/artifact/v1/maintenance_pb.ts'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { createLogger } from '#lib/process/log.ts'
import type { ByteStore } from '../../../services/artifact/store/byte-store.ts'
import { openStore } from '../../../services/artifact/store/orm.ts'
import { reportWrongBytes } from '../../../services/artifact/store/blobs/quarantine.ts'
import { scrubOne } from '../../../services/artifact/jobs/scrub/scrubber.ts'
import type { ScrubLimits } from '../../../services/artifact/store/blobs/scrub-queue.ts'
import { startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes } from '../../support/bytes.ts'
import { changed, counted } from '../../support/store-spies.ts'

const LIMITS: ScrubLimits = { scrubDays: 30, scrubBytesPerSecond: 1024 ** 3 }
/** The service's own scrubber runs once, when nothing is due. */
const QUIET = { sweepEveryMs: 3_600_000 }

const store = await STORES.find(([kind]) => kind === 'a directory')![1]()
const own = store.open()
const artifact = await startArtifact(store, { limits: QUIET })
const database = openStore({ url: artifact.database.url })
const logger = createLogger('artifact', 'silent')
const blobs = artifact.client(BlobService)
afterAll(async () => {
  await database.close(true)
  await artifact.stop()
})
// Only blobs that a test ages are due.
beforeEach(() => artifact.sql('update artifact.blob set verify_time = now(), verifying_until = null'))

interface Scrub {
  bytes?: ByteStore
  limits?: Partial<ScrubLimits>
  signal?: AbortSignal
}

function scrub({ bytes = own, limits, signal = new AbortController().signal }: Scrub = {}): Promise<boolean> {
  return scrubOne({ database, bytes, logger, limits: { ...LIMITS, ...limits } }, signal)
}

async function storeBlob(seed: string, age?: string) {
  const bytes = makeBytes(1000, seed)
  const digest = digestOf(bytes)
  await blobs.uploadBlob(blobMessages(bytes))
  const where = `where digest = '${digest}'`
  const [row] = await artifact.sql<{ object_key: string }>(`select object_key from artifact.blob ${where}`)
  const key = row!.object_key
  const setAge = (interval: string) =>
    artifact.sql(`update artifact.blob set verify_time = now() - interval '${interval}' ${where}`)
  if (age) await setAge(age)
  return {
    bytes,
    digest,
    key,
    setAge,
    damage: () => store.overwrite(key, Buffer.alloc(bytes.length)),
    repair: () => store.overwrite(key, bytes),
    suspect: () => reportWrongBytes(database, { digest, objectKey: key }),
    download: async () => (await download(blobs, { digest })).equals(bytes),
    stateOf: async () => (await artifact.sql<{ state: string }>(`select state from artifact.blob ${where}`))[0]!.state,
    events: async () =>
      (
        await artifact.sql<{ type: string }>(
          `select event ->> 'type' as type from artifact.outbox where resource_id = '${digest}' order by sequence`,
        )
      ).map(({ type }) => type.replace(/^blob\.|\.v1$/g, '')),
  }
}

/** A store whose first read waits. */
function held() {
  const [begun, open] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const bytes = changed(own, {
    async *read(...range) {
      begun.resolve()
      await open.promise
      yield* own.read(...range)
    },
  })
  return { bytes, begun: begun.promise, release: open.resolve }
}

describe('the scrubber', () => {
  test('verifies the blob first that was verified longest ago', async () => {
    const [late, early] = [await storeBlob('late', '31 days'), await storeBlob('early', '32 days')]
    const keys: string[] = []
    const bytes = changed(own, {
      read(key, ...range) {
        keys.push(key)
        return own.read(key, ...range)
      },
    })
    for (const more of [true, true, false]) expect(await scrub({ bytes })).toBe(more)
    expect(keys).toEqual([early.key, late.key])
  })

  test('verifies only reported blobs when its interval is 0 days', async () => {
    const blob = await storeBlob('never', '4000 days')
    expect(await scrub({ limits: { scrubDays: 0 } })).toBe(false)
    await blob.suspect()
    expect(await scrub({ limits: { scrubDays: 0 } })).toBe(true)
    expect(await scrub({ limits: { scrubDays: 0 } })).toBe(false)
  })

  test('throttles its reads to the configured rate', async () => {
    const { bytes: content } = await storeBlob('slowly', '31 days')
    let chunks = 0
    const bytes = changed(own, {
      async *read() {
        for (; chunks < 10;) yield content.subarray(chunks * 100, ++chunks * 100)
      },
    })
    const stop = new AbortController()
    const work = scrub({ bytes, limits: { scrubBytesPerSecond: 1 }, signal: stop.signal })
    const waiting = expect(work).rejects.toThrow('aborted')
    await expect.poll(() => chunks).toBeGreaterThan(0)
    expect(chunks).toBe(1)
    stop.abort()
    await waiting
  })

  test.each([
    ['an object that is missing', { stat: async () => undefined }],
    ['another size', { stat: async () => 1 }],
    ['other bytes', { read: () => [Buffer.alloc(1000)].values() }],
    ['an early end', { read: () => [Buffer.alloc(10)].values() }],
  ])('accepts a right second read after %s', async (what, bad) => {
    const blob = await storeBlob(`second read after ${what}`, '31 days')
    const once = () => {
      const [name, change] = Object.entries(bad)[0]! as [keyof ByteStore, () => never]
      let isFirst = true
      return changed(own, {
        [name](...given: []) {
          const answer = isFirst ? change() : (own[name] as (..._: []) => unknown)(...given)
          isFirst = false
          return answer
        },
      })
    }
    expect(await scrub({ bytes: once() })).toBe(true)
    const replica = await artifact.addReplica({ bytes: once(), limits: QUIET })
    let verdict: Verdict | undefined
    for await (const answer of replica.client(MaintenanceService).verifyBlob({ digest: blob.digest }))
      verdict = answer.verdict
    await replica.stop()
    expect(verdict).toBe(Verdict.RIGHT)
    expect(await blob.events()).toEqual(['committed'])
    expect(await scrub()).toBe(false)
  })
})

describe('a quarantined blob', () => {
  test.each([30, 0])(
    'is read again after an hour, with %i days, and served again if it is right',
    async (scrubDays) => {
      const limits = { scrubDays }
      const blob = await storeBlob(`by mistake ${scrubDays}`)
      await blob.damage()
      await blob.suspect()
      await scrub({ limits })
      expect(await blob.stateOf()).toBe('QUARANTINED')
      await blob.repair()
      await blob.setAge('55 minutes')
      expect(await scrub({ limits })).toBe(false)
      await blob.setAge('65 minutes')
      expect(await scrub({ limits })).toBe(true)
      expect(await blob.download()).toBe(true)
      expect(await blob.events()).toEqual(['committed', 'quarantined', 'repaired'])
      await blob.setAge('65 minutes')
      expect(await scrub({ limits })).toBe(false)
    },
  )

  test('is verified again before blobs that are due by age, and later the larger it is', async () => {
    const blob = await storeBlob('slow to read')
    await blob.damage()
    await blob.suspect()
    await scrub()
    await blob.setAge('2 hours')
    const old = await storeBlob('old', '31 days')
    const { bytes, reads } = counted(own)
    expect(await scrub({ bytes })).toBe(true)
    // It is still wrong, after two reads.
    expect(reads).toHaveLength(2)
    await old.setAge('1 day')
    await blob.setAge('2 hours')
    expect(await scrub({ limits: { scrubBytesPerSecond: 1 } })).toBe(false)
    expect(await blob.events()).toEqual(['committed', 'quarantined'])
    await blobs.uploadBlob(blobMessages(blob.bytes))
  })

  test('stays repaired when a verdict on the old bytes arrives after the upload', async () => {
    const blob = await storeBlob('repaired meanwhile')
    await blob.damage()
    await blob.suspect()
    await scrub()
    await blob.setAge('2 hours')
    const { bytes, begun, release } = held()
    const late = scrub({ bytes })
    await begun
    await blobs.uploadBlob(blobMessages(blob.bytes))
    release()
    await late
    expect(await blob.download()).toBe(true)
    expect(await blob.events()).toEqual(['committed', 'quarantined', 'repaired'])
  })
})

describe('a blob that is being read', () => {
  test('is skipped by other replicas until the claim expires', async () => {
    const blob = await storeBlob('two replicas', '31 days')
    const { bytes, begun, release } = held()
    const first = scrub({ bytes })
    await begun
    expect(await scrub()).toBe(false)
    await artifact.sql(`update artifact.blob set verifying_until = now() - interval '1 second'`)
    expect(await scrub()).toBe(true)
    release()
    expect(await first).toBe(true)
    expect(await scrub()).toBe(false)
    expect(await blob.events()).toEqual(['committed'])
  })

  test.each(['its age', 'a report'])(
    'because of %s is verified again after a report of wrong bytes meanwhile',
    async (why) => {
      const blob = await storeBlob(`suspected after ${why}`, '31 days')
      if (why === 'a report') await blob.suspect()
      const { bytes, begun, release } = held()
      const first = scrub({ bytes })
      await begun
      await blob.suspect()
      release()
      await first
      expect(await scrub()).toBe(true)
      expect(await scrub()).toBe(false)
    },
  )
})
