// The background jobs, which run in every replica.
import { pino } from 'pino'
import { expect, test, vi } from 'vitest'
import { metadataService } from '../../../services/metadata/service.ts'
import { openStore } from '../../../services/metadata/store/orm.ts'
import { byName, makeModel, newDigest, newName, startMetadata } from '../../support/metadata.ts'

const metadata = await startMetadata()
const { admin, peers } = metadata

test('releases each of a hundred manifests once on two replicas', async () => {
  const name = newName()
  await makeModel(admin, name)
  const { model } = await admin.models.archiveModel({ model: byName(name) })
  const digest = newDigest()
  await metadata.sql(`insert into metadata.manifest_release (version_id, namespace, digest, due_time)
    select gen_random_uuid(), 'default', '${digest}', now() from generate_series(1, 100)`)
  // The second deletion finds no model.
  const deletions = await Promise.allSettled([
    admin.models.deleteModel({ model: byName(name) }),
    metadata.replica.models.deleteModel({ model: byName(model!.name) }),
  ])
  expect(deletions.map(({ status }) => status)).toContain('fulfilled')
  await vi.waitFor(
    async () => expect(await metadata.sql('select version_id from metadata.manifest_release')).toEqual([]),
    { timeout: 20_000 },
  )
  const released = peers.calls.filter((call) => call.startsWith('release'))
  expect(released).toHaveLength(100)
  expect(new Set(released).size).toBe(100)
})

test('retries a release claimed by another replica only after the claim expires', async () => {
  const id = crypto.randomUUID()
  await metadata.sql(`insert into metadata.manifest_release (version_id, namespace, digest, due_time, attempts)
    values ('${id}', 'default', '${newDigest()}', now() + interval '2 seconds', 1)`)
  expect(peers.calls).not.toContain(`release ${id}`)
  await vi.waitFor(() => expect(peers.calls).toContain(`release ${id}`), { timeout: 20_000 })
})

test('removes answers older than two days at the start, and no newer ones', async () => {
  await metadata.sql(`insert into metadata.answered_request (principal, request_id, content_hash, create_time)
    select 'old', gen_random_uuid(), '', now() - make_interval(hours => hours) from unnest(array[47, 49, 999]) as hours`)
  const service = metadataService({
    database: openStore({ url: metadata.url, poolSize: 4 }),
    logger: pino({ level: 'silent' }),
    draining: new AbortController().signal,
    trustedServices: new Map(),
    ...peers.clients(),
  })
  const left = async () =>
    (
      await metadata.sql<{ count: string }>(`select count(*) from metadata.answered_request where principal = 'old'`)
    )[0]!.count
  await vi.waitFor(async () => expect(await left()).toBe('1'), 10_000)
  await service.close()
})
