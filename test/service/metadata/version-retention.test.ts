// The manifests that CreateVersion retains: one retention per version, released where no version results.
import { randomUUID } from 'node:crypto'
import { beforeEach, expect, test, vi } from 'vitest'
import { byId, byName, makeModel, newDigest, newName, startMetadata } from '../../support/metadata.ts'
import { FACTS } from '../../support/facts.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin, peers } = metadata

beforeEach(() => {
  peers.artifactDown = false
  peers.onRetain = () => {}
})

test('accepts one of two calls with the same bytes, and retains nothing for the other', async () => {
  const name = newName()
  await makeModel(admin, name)
  const request = { model: byName(name), manifestDigest: newDigest() }
  const answers = await Promise.allSettled([
    admin.versions.createVersion(request),
    metadata.replica.versions.createVersion(request),
  ])
  expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  await vi.waitFor(() => expect(retentionsOf(request.manifestDigest)).toBe(1))
  await expectNoPendingReleases()
})

test('creates no version of a missing manifest', async () => {
  const name = newName()
  await makeModel(admin, name)
  const manifestDigest = newDigest()
  peers.missing.add(manifestDigest)
  const refused = await refusalOf(admin.versions.createVersion({ model: byName(name), manifestDigest }))
  expect(refused).toMatchObject({
    code: 'NotFound',
    reason: 'MANIFEST_NOT_FOUND',
    metadata: { digest: manifestDigest },
  })
  expect((await admin.versions.listVersions({ model: byName(name) })).versions).toEqual([])
  await expectNoPendingReleases()
})

test('returns the first answer to a repeated request, and retains nothing more', async () => {
  const name = newName()
  await makeModel(admin, name)
  const request = { model: byName(name), manifestDigest: newDigest(), facts: FACTS, requestId: randomUUID() }
  const answers = await Promise.all(
    [admin, metadata.replica, admin].map(({ versions }) => versions.createVersion(request)),
  )
  const [first] = answers
  for (const answer of answers) expect(answer).toEqual(first)
  await vi.waitFor(() => expect(retentionsOf(request.manifestDigest)).toBe(1))
  const calls = peers.calls.length
  await admin.models.archiveModel({ model: byName(name) })
  expect(await admin.versions.createVersion(request)).toEqual(first)
  expect(peers.calls.slice(calls).filter((call) => call.startsWith('retain'))).toEqual([])
  expect(await refusalOf(admin.versions.createVersion({ ...request, semver: '1.0.0' }))).toMatchObject({
    reason: 'REQUEST_ID_REUSED',
  })
  await expectNoPendingReleases()
})

test('releases the manifest when the model is archived during the call', async () => {
  const name = newName()
  await makeModel(admin, name)
  const manifestDigest = newDigest()
  peers.onRetain = async () => {
    await metadata.replica.models.archiveModel({ model: byName(name) })
  }
  const refused = await refusalOf(admin.versions.createVersion({ model: byName(name), manifestDigest }))
  expect(refused.reason).toBe('MODEL_ARCHIVED')
  await vi.waitFor(() => expect(retentionsOf(manifestDigest)).toBe(0))
  await expectNoPendingReleases()
})

test('reports an unavailable artifact service, and releases the manifest once it answers again', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  peers.artifactDown = true
  const request = { model: byName(name), manifestDigest: newDigest() }
  expect(await refusalOf(admin.versions.createVersion(request))).toMatchObject({
    code: 'Unavailable',
    reason: 'DEPENDENCY_UNAVAILABLE',
    metadata: { dependency: 'artifact' },
  })
  const { version } = await admin.versions.resolveVersion({
    ref: { ref: { case: 'name', value: { model: name, selector: { case: 'number', value: 1 } } } },
  })
  await admin.versions.deleteVersion({ version: byId(version!.id) })
  await vi.waitFor(() => expect(peers.calls).toContain(`release ${version!.id}`))
  expect(peers.retained.has(version!.id)).toBe(true)
  peers.artifactDown = false
  await vi.waitFor(() => expect(peers.retained.has(version!.id)).toBe(false), { timeout: 20_000 })
  await expectNoPendingReleases()
})

test('releases a manifest that a killed process left pending, when it falls due', async () => {
  const [id, digest] = [randomUUID(), newDigest()]
  peers.retained.set(id, digest)
  await metadata.sql(`insert into metadata.manifest_release (version_id, namespace, digest, due_time)
    values ('${id}', 'default', '${digest}', now())`)
  await vi.waitFor(() => expect(peers.retained.has(id)).toBe(false), { timeout: 20_000 })
})

test('creates no version whose manifest is already being released', async () => {
  const name = newName()
  await makeModel(admin, name)
  const manifestDigest = newDigest()
  peers.onRetain = async (id) => {
    await metadata.sql(`update metadata.manifest_release set attempts = 1 where version_id = '${id}'`)
  }
  const refused = await refusalOf(admin.versions.createVersion({ model: byName(name), manifestDigest }))
  expect(refused).toMatchObject({ code: 'Aborted', reason: 'CONFLICT' })
  expect((await admin.versions.listVersions({ model: byName(name) })).versions).toEqual([])
})

function retentionsOf(digest: string): number {
  return [...peers.retained.values()].filter((retained) => retained === digest).length
}

async function expectNoPendingReleases(): Promise<void> {
  await vi.waitFor(
    async () => expect(await metadata.sql('select * from metadata.manifest_release where attempts = 0')).toEqual([]),
    { timeout: 20_000 },
  )
}
