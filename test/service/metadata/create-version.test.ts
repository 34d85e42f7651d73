// CreateVersion: numbers, facts, duplicates, parents.
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { ParentRelation } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { VersionState } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import { byId, byName, makeModel, newDigest, newName, startMetadata } from '../../support/metadata.ts'
import { FACTS } from '../../support/facts.ts'
import { refusalOf } from '../../support/refusal.ts'
import { MANIFEST_BYTES, MANIFEST_FILES } from '../../support/fake-peers.ts'

const metadata = await startMetadata()
const { admin, peers } = metadata

test('stores every fact of a version, and returns it READY', async () => {
  const name = newName()
  await makeModel(admin, name)
  const manifestDigest = newDigest()
  const notes = { description: '# First', labels: { team: 'core' }, modelCard: 'for all' }
  const request = { model: byName(name), manifestDigest, semver: '1.2.0-rc.1', facts: FACTS, ...notes }
  let answer: Awaited<ReturnType<typeof admin.versions.createVersion>> | undefined
  const [event, ...none] = await metadata.eventsOf(async () => {
    answer = await admin.versions.createVersion(request)
  })
  const version = answer!.version!
  expect(version).toMatchObject({
    namespace: 'default',
    model: name,
    number: 1,
    semver: '1.2.0-rc.1',
    digest: manifestDigest,
    sizeBytes: MANIFEST_BYTES,
    fileCount: MANIFEST_FILES,
    state: VersionState.READY,
    creator: 'admin',
    ...notes,
    aliases: [],
    etag: '1',
  })
  expect(version.facts).toMatchObject(FACTS)
  expect((await admin.versions.resolveVersion({ ref: byId(version.id) })).version).toEqual(version)
  expect(none).toEqual([])
  expect(event).toMatchObject({
    type: 'version.created.v1',
    resource: { type: 'version', id: version.id, name: `default/${name}:1`, digest: manifestDigest },
    details: { number: 1, semver: '1.2.0-rc.1', digest: manifestDigest, source_commit: 'abc123', source_dirty: true },
  })
  expect(event!.afterDigest).toMatch(/^sha256:/)
  expect(peers.retained.get(version.id)).toBe(manifestDigest)
})

test('assigns the numbers 1 to 8, in order of creation, to eight concurrent calls on two replicas', async () => {
  const name = newName()
  await makeModel(admin, name)
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, index) => {
      const { versions } = index % 2 === 0 ? admin : metadata.replica
      return versions.createVersion({ model: byName(name), manifestDigest: newDigest() })
    }),
  )
  const versions = answers.map(({ version }) => version!).sort((a, b) => a.number - b.number)
  expect(versions.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  const times = versions.map(({ createTime }) => createTime!.seconds * 1_000_000_000n + BigInt(createTime!.nanos))
  expect(times).toEqual(times.toSorted((a, b) => (a < b ? -1 : 1)))
})

test('never assigns a number twice, not even after its version is deleted', async () => {
  const name = newName()
  const [, digest] = await makeModel(admin, name, 2)
  const ref = { ref: { case: 'name' as const, value: { model: name, number: 2 } } }
  await admin.versions.deleteVersion({ version: ref })
  const { version } = await admin.versions.createVersion({ model: byName(name), manifestDigest: digest! })
  expect(version!.number).toBe(3)
  expect((await admin.models.getModel({ model: byName(name) })).model!.latestNumber).toBe(3)
})

test('assigns no number to a rejected call', async () => {
  const name = newName()
  const [digest] = await makeModel(admin, name, 1)
  await refusalOf(admin.versions.createVersion({ model: byName(name), manifestDigest: digest! }))
  const { version } = await admin.versions.createVersion({ model: byName(name), manifestDigest: newDigest() })
  expect(version!.number).toBe(2)
})

test('rejects a second version with the same bytes or semver in a model, and accepts both in another model', async () => {
  const [name, other] = [newName(), newName()]
  await makeModel(admin, name)
  await makeModel(admin, other)
  const request = { manifestDigest: newDigest(), semver: '1.0.0' }
  const { version } = await admin.versions.createVersion({ model: byName(name), ...request })
  expect(await refusalOf(admin.versions.createVersion({ model: byName(name), ...request }))).toMatchObject({
    code: 'AlreadyExists',
    reason: 'VERSION_EXISTS',
    metadata: { number: '1', id: version!.id },
  })
  const semver = { model: byName(name), manifestDigest: newDigest(), semver: '1.0.0' }
  expect(await refusalOf(admin.versions.createVersion(semver))).toMatchObject({
    code: 'AlreadyExists',
    reason: 'SEMVER_EXISTS',
    metadata: { semver: '1.0.0', number: '1' },
  })
  await admin.versions.createVersion({ model: byName(other), ...request })
})

test('requires parents that exist and that the caller can read', async () => {
  const [name, secret] = [newName(), newName('secret')]
  await makeModel(admin, name, 1)
  await admin.namespaces.createNamespace({ name: secret })
  await makeModel(admin, 'hidden', 1, secret)
  const { versions: hidden } = await admin.versions.listVersions({ model: byName('hidden', secret) })
  const member = await metadata.member({ default: 'CONTRIBUTOR' })
  const create = (versionId: string, clients = admin) =>
    clients.versions.createVersion({
      model: byName(name),
      manifestDigest: newDigest(),
      facts: { parents: [{ versionId, relation: ParentRelation.FINE_TUNED }] },
    })
  const unknown = randomUUID()
  const absent = await refusalOf(create(unknown))
  expect(absent).toMatchObject({ code: 'NotFound', reason: 'VERSION_NOT_FOUND', metadata: { version: unknown } })
  const [{ id }] = hidden as [(typeof hidden)[0]]
  expect(await refusalOf(create(id, member))).toEqual({
    ...absent,
    message: absent.message.replace(unknown, id),
    metadata: { version: id },
  })
  const { version } = await create(id.toUpperCase())
  expect(version!.facts!.parents).toMatchObject([{ versionId: id, relation: ParentRelation.FINE_TUNED }])
})

test('stores metrics to the last bit, however large or small', async () => {
  const name = newName()
  await makeModel(admin, name)
  const values = [5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 0.1 + 0.2, 123456789.12345679]
  for (const [index, value] of values.entries()) {
    const facts = { metrics: [{ name: 'm', value }] }
    const { version } = await admin.versions.createVersion({ model: byName(name), manifestDigest: newDigest(), facts })
    expect(version).toMatchObject({ number: index + 1, facts })
  }
  const seen: number[] = []
  for (let pageToken = ''; ;) {
    const page = await admin.versions.listVersions({
      model: byName(name),
      orderBy: 'metrics.m',
      pageSize: 1,
      pageToken,
    })
    seen.push(...page.versions.map(({ facts }) => facts!.metrics[0]!.value))
    if (!(pageToken = page.nextPageToken)) break
  }
  expect(seen).toEqual(values.toSorted((a, b) => a - b))
})
