// Reads are recorded in the audit log as AUDIT_DOWNLOADS demands, in every transfer mode.
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { DirectService } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { ByteStream } from '#gen/google/bytestream/bytestream_pb.ts'
import { startArtifact, STORES, type Replica, type TestArtifact } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes } from '../../support/bytes.ts'
import { blobName } from '../../support/byte-stream.ts'
import { refusalOf } from '../../support/refusal.ts'

const bytes = makeBytes(1000, 'read')
const digest = digestOf(bytes)
let artifact: TestArtifact
let manifestDigest: string
const replicas: Replica[] = []
beforeAll(async () => {
  artifact = await startArtifact(await STORES[0]![1](), { downloads: 'all' })
  await artifact.client(BlobService).uploadBlob(blobMessages(bytes))
  const files = [{ path: 'model.bin', digest, sizeBytes: 1000n }]
  manifestDigest = (await artifact.client(ManifestService).createManifest({ files })).manifest!.digest
})
afterAll(async () => {
  for (const replica of replicas) await replica.stop()
  await artifact.stop()
})

interface ReadEvent {
  type: string
  actor: { principal: string; credentialId: string }
  resource: { digest: string; namespace: string }
  details?: Record<string, string>
}

/** The reads that were recorded since the last call. */
let seen = 0
async function newReads(): Promise<ReadEvent[]> {
  const rows = await artifact.sql<{ event: ReadEvent; sequence: string }>(
    `select event, sequence from artifact.outbox where sequence > ${seen} order by sequence`,
  )
  seen = Math.max(seen, ...rows.map(({ sequence }) => Number(sequence)))
  return rows.map(({ event }) => event).filter(({ type }) => type.endsWith('.read.v1') || type === 'access.denied.v1')
}
const brief = (events: ReadEvent[]) =>
  events.map(({ type, actor, details = {} }) => [type, actor.principal, ...Object.values(details)])

async function addReplica(downloads: 'off' | 'manifests' | 'all', framing?: 'general'): Promise<Replica> {
  const replica = await artifact.addReplica({ downloads, ...(framing && { framing }) })
  replicas.push(replica)
  return replica
}

/** Reads the manifest and the blob in every transfer mode. */
async function readAll(replica: Replica, token: string): Promise<void> {
  await replica.client(ManifestService, token).getManifest({ digest: manifestDigest })
  await download(replica.client(BlobService, token), { digest })
  await download(replica.client(BlobService, token), { digest, offset: 100n, length: 50n })
  await replica.client(DirectService, token).getDownloadPlan({ digest })
  const name = { resourceName: blobName(bytes), readOffset: 10n }
  for await (const _ of replica.client(ByteStream, token).read(name));
}

const readBy = (who: string) => [
  ['manifest.read.v1', who],
  ['blob.read.v1', who, 'stream', '1000', '0'],
  ['blob.read.v1', who, 'stream', '50', '100'],
  ['blob.read.v1', who, 'direct', '1000', '0'],
  ['blob.read.v1', who, 'bytestream', '990', '10'],
]
/** The details of an event are JSON with sorted keys. */
const sorted = (rows: string[][]) => rows.map(([type, who, ...details]) => [type, who, ...details.toSorted()])

test('all: records each read in every mode before its bytes are sent, with caller, resource and range', async () => {
  await newReads()
  await readAll(artifact, 'reader')
  const events = await newReads()
  expect(sorted(brief(events))).toEqual(sorted(readBy('reader')))
  for (const { resource } of events) expect(resource.namespace).toBe('default')
  expect(events.map(({ resource }) => resource.digest)).toEqual([manifestDigest, digest, digest, digest, digest])
})

test('records the same reads through the general adapter and the zero-copy handler', async () => {
  const general = await addReplica('all', 'general')
  await readAll(general, 'reader')
  expect((await newReads()).length).toBe(5)
})

test('records repeated and parallel reads of one token once, and reads of another token as well', async () => {
  await Promise.all(Array.from({ length: 40 }, () => readAll(artifact, 'bob')))
  await readAll(artifact, 'alice')
  const events = await newReads()
  const count = (who: string) => events.filter(({ actor }) => actor.principal === who).length
  expect([count('bob'), count('alice'), events.length]).toEqual([5, 5, 10])
  await readAll(artifact, 'bob')
  expect(await newReads()).toEqual([])
  await readAll(artifact, 'bob2')
  expect(sorted(brief(await newReads()))).toEqual(sorted(readBy('bob')))
})

test('manifests: records reads of manifests only; off: records none', async () => {
  await readAll(await addReplica('manifests'), 'bob')
  expect(brief(await newReads())).toEqual([['manifest.read.v1', 'bob']])
  await readAll(await addReplica('off'), 'bob')
  expect(await newReads()).toEqual([])
})

test('denies a read in every mode to a caller without permission, and records no read', async () => {
  const denied: [string, () => Promise<unknown>][] = [
    [
      'ManifestService/GetManifest',
      () => artifact.client(ManifestService, 'carol').getManifest({ digest: manifestDigest }),
    ],
    ['BlobService/DownloadBlob', () => download(artifact.client(BlobService, 'carol'), { digest })],
    ['DirectService/GetDownloadPlan', () => artifact.client(DirectService, 'carol').getDownloadPlan({ digest })],
    [
      'ByteStream/Read',
      () => Array.fromAsync(artifact.client(ByteStream, 'carol').read({ resourceName: blobName(bytes) })),
    ],
  ]
  for (const [, read] of denied) expect(await refusalOf(read())).toMatchObject({ reason: 'PERMISSION_DENIED' })
  const events = await vi.waitFor(async () => {
    const rows = await artifact.sql<{ event: ReadEvent & { resource: { id: string } } }>(
      `select event from artifact.outbox where sequence > ${seen} order by sequence`,
    )
    expect(rows.length).toBe(denied.length)
    return rows.map(({ event }) => event)
  })
  await newReads()
  expect(events.map(({ resource }) => resource.id.split('.').at(-1))).toEqual(denied.map(([name]) => name))
  for (const { type, actor } of events) expect([type, actor.principal]).toEqual(['access.denied.v1', 'carol'])
})

test('records no read of a blob that does not exist', async () => {
  const none = digestOf(Buffer.from('nothing'))
  await refusalOf(download(artifact.client(BlobService, 'reader'), { digest: none }))
  await refusalOf(download(artifact.client(BlobService, 'reader'), { digest, offset: 1001n }))
  await refusalOf(artifact.client(ManifestService, 'reader').getManifest({ digest: none }))
  expect(await newReads()).toEqual([])
})

test('sends no bytes while the event cannot be recorded, and sends them afterwards', async () => {
  await artifact.sql(`create function artifact.no_room() returns trigger language plpgsql as $$
    begin raise exception 'no room' using errcode = '53100'; end $$`)
  await artifact.sql(`create trigger no_room before insert on artifact.outbox execute function artifact.no_room()`)
  const fresh = await addReplica('all')
  let received = 0
  const read = async () => {
    for await (const _ of fresh.client(BlobService, 'reader').downloadBlob({ digest })) received += 1
  }
  expect(await refusalOf(read())).toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE' })
  const manifest = fresh.client(ManifestService, 'reader').getManifest({ digest: manifestDigest })
  expect(await refusalOf(manifest)).toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE' })
  expect(received).toBe(0)
  await artifact.sql('drop trigger no_room on artifact.outbox')
  await readAll(fresh, 'reader')
  expect((await newReads()).length).toBe(5)
})
