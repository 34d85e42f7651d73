// Uploads, lookups, manifests, versions and several collectors run at once in seeded random schedules, and a model checks
// the promises: a blob reported as present stays for its lease, and a blob that a version needs stays until its release.
import { afterAll, describe, expect, test } from 'vitest'
import { DEFAULT_PERIODS } from '../../../services/artifact/jobs/garbage/collector.ts'
import { startArtifact, STORES, type Replica } from '../../support/artifact.ts'
import { collectEverything, ageLeases } from '../../support/garbage.ts'
import { GarbageWorld } from '../../support/garbage-world.ts'

const ROUNDS = 16
const AT_ONCE = 14

describe.each(STORES)('garbage collection during other calls, in %s', async (_kind, createStore) => {
  const store = await createStore()
  const artifact = await startArtifact(store, { bytes: store.open() })
  // The first of them has no grace period, so that a mistake which the grace period would hide becomes visible.
  const others = [
    await artifact.addReplica({ limits: { periods: { ...DEFAULT_PERIODS, graceSeconds: 0 } } }),
    await artifact.addReplica(),
  ]
  const replicas: Replica[] = [artifact, ...others]
  afterAll(async () => {
    for (const replica of others) await replica.stop()
    await artifact.stop()
  })

  test.each([1, 2, 3])(
    'serves every leased or retained blob byte for byte (seed %i)',
    { timeout: 240_000 },
    async (seed) => {
      const world = new GarbageWorld(seed, replicas)
      for (let round = 0; round < ROUNDS; round += 1) {
        const hours = world.pick([0, 1, 5, 12, 23.5, 24.5, 26, 60])
        await ageLeases(artifact.database.url, hours)
        world.now += hours
        await Promise.all(Array.from({ length: AT_ONCE }, () => world.act()))
        await world.checkAll()
      }
      expect(world.faults).toEqual([])
      await collectEverything(artifact)
      await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
      await world.checkAll()
      const rows = await artifact.sql<{ object_key: string }>('select object_key from artifact.blob')
      expect((await store.listObjects()).toSorted()).toEqual(rows.map((row) => row.object_key).toSorted())
      await checkEvents()
      await world.releaseAll()
      await collectEverything(artifact)
      expect(await artifact.sql('select * from artifact.blob')).toEqual([])
      await expect.poll(() => store.listObjects()).toEqual([])
    },
  )

  /** The events of each blob have a possible order: committed, then condemned and revived in turn, then collected. */
  async function checkEvents(): Promise<void> {
    const events = await artifact.sql<{ name: string; type: string }>(
      `select event #>> '{resource,name}' as name, event ->> 'type' as type
        from artifact.outbox where event ->> 'type' like 'blob.%' order by sequence`,
    )
    const stories = new Map<string, string>()
    for (const { name, type } of events) stories.set(name, (stories.get(name) ?? '') + STORY[type])
    for (const [name, story] of stories) expect(`${name} ${story}`).toMatch(/ (\+(cr)*(c-)?)*$/)
    const present = await artifact.sql<{ name: string }>(
      `select namespace || '/' || digest as name from artifact.namespace_blob`,
    )
    const remaining = [...stories].filter(([, story]) => !story.endsWith('-')).map(([name]) => name)
    expect(remaining.toSorted()).toEqual(present.map(({ name }) => name).toSorted())
  }
})

const STORY: Record<string, string> = {
  'blob.committed.v1': '+',
  'blob.condemned.v1': 'c',
  'blob.revived.v1': 'r',
  'blob.collected.v1': '-',
}
