// Two installations, each with a database of its own, on one store.
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import type { ByteStore } from '../../../services/artifact/store/byte-store.ts'
import { DEFAULT_PERIODS } from '../../../services/artifact/jobs/garbage/collector.ts'
import { MIB, startArtifact, STORES, type Replica, type TestArtifact } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes } from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'
import { changed } from '../../support/store-spies.ts'

/** Every unknown object is old enough to be deleted. */
const IMPATIENT = { periods: { ...DEFAULT_PERIODS, orphanSeconds: 0 } }

describe.each(STORES)('two installations in %s', async (_kind, createStore) => {
  const store = await createStore()
  const logged: string[] = []
  const first = await startArtifact(store, { limits: IMPATIENT })
  const marks = async () => (await store.open().listMarks()).toSorted()
  const kept = { ...store, drop: async () => {} }
  const second = await startArtifact(kept, { limits: IMPATIENT, onLog: (line) => logged.push(line) })
  afterAll(async () => {
    await second.stop()
    await first.stop()
  })

  const sweep = async (artifact: Replica, dryRun = false): Promise<string[]> => {
    const names: string[] = []
    for await (const { garbage } of artifact.client(MaintenanceService, 'root').collectGarbage({ dryRun })) {
      names.push(...garbage.map(({ name }) => name))
    }
    return names
  }
  const idOf = async ({ sql }: Pick<TestArtifact, 'sql'>): Promise<string> =>
    (await sql<{ id: string }>('select id from artifact.installation'))[0]!.id

  test('neither deletes objects of the other, and both report what to do', async () => {
    await expect.poll(marks).toHaveLength(2)
    const ids = [await idOf(first), await idOf(second)]
    expect(await marks()).toEqual(ids.toSorted())
    const all = [makeBytes(MIB, 'of the first'), makeBytes(17 * MIB, 'of the second')]
    for (const [index, artifact] of [first, second].entries()) {
      await artifact.client(BlobService).uploadBlob(blobMessages(all[index]!))
    }
    const before = await store.listObjects()
    for (const [index, artifact] of [first, second].entries()) {
      for (const dryRun of [true, false]) {
        const other = ids[1 - index]!
        expect(await refusalOf(sweep(artifact, dryRun))).toMatchObject({
          code: 'FailedPrecondition',
          reason: 'STORE_SHARED',
          metadata: { others: other },
        })
      }
    }
    expect(await store.listObjects()).toEqual(before)
    for (const [index, artifact] of [first, second].entries()) {
      const digest = digestOf(all[index]!)
      expect((await download(artifact.client(BlobService), { digest })).equals(all[index]!)).toBe(true)
    }
    await second.sql(`delete from artifact.chore where name = 'sweep'`)
    const line = () => logged.find((text) => text.includes('the sweep of orphans failed'))
    await expect.poll(line).toContain('give each installation a store of its own')
    expect(line()).toContain(ids[0])
    expect(JSON.parse(line()!)).toMatchObject({ level: 'error' })
  })

  test('no orphan is deleted if the marks cannot be listed', async () => {
    const mute: Partial<ByteStore> = { listMarks: () => Promise.reject(new Error('not allowed')) }
    const replica = await first.addReplica({ limits: IMPATIENT, bytes: changed(store.open(), mute) })
    try {
      const answers = replica.client(MaintenanceService, 'root').collectGarbage({})
      expect(await refusalOf(answers[Symbol.asyncIterator]().next())).toMatchObject({
        reason: 'DEPENDENCY_UNAVAILABLE',
      })
    } finally {
      await replica.stop()
    }
  })

  test('objects of an installation whose mark is gone are deleted as orphans', async () => {
    const own = await idOf(first)
    const bytes = changed(store.open(), { listMarks: async () => [own] })
    const replica = await first.addReplica({ limits: IMPATIENT, bytes })
    try {
      expect(await sweep(replica)).toHaveLength(1)
      await expect.poll(() => store.listObjects()).toHaveLength(1)
    } finally {
      await replica.stop()
    }
  })
})
