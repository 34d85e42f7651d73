import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { BlobState } from '#gen/modelkeep/artifact/v1/blob_pb.ts'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { METADATA_TOKEN, MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { digestOf, download, makeBytes } from '../../support/bytes.ts'
import { collectEverything, garbageCalls, kindsAndNames } from '../../support/garbage.ts'
import { refusalOf } from '../../support/refusal.ts'

describe.each(STORES)('garbage in %s', async (_kind, createStore) => {
  const store = await createStore()
  const artifact = await startArtifact(store)
  afterAll(() => artifact.stop())
  const alice = artifact.client(BlobService)
  const maintenance = artifact.client(MaintenanceService, 'root')
  const manifests = artifact.client(ManifestService)
  const metadata = artifact.client(ManifestService, METADATA_TOKEN)
  const { upload, nameFiles, collect, age, eventsOf, isMissing } = garbageCalls(artifact)
  beforeEach(() => collectEverything(artifact))

  test('condemns a blob without a manifest after its lease, and collects it after the grace period', async () => {
    const digest = await upload(makeBytes(1000, 'unnamed'))
    await age(23)
    expect(await collect()).toEqual([])
    await age(2)
    expect(kindsAndNames(await collect())).toEqual([['CONDEMNED', digest]])
    expect((await alice.getBlob({ digest })).blob).toMatchObject({ state: BlobState.CONDEMNED })
    expect((await download(alice, { digest })).length).toBe(1000)
    await age(24)
    expect(await collect()).toEqual([])
    await age(2)
    const objects = await store.listObjects()
    expect(kindsAndNames(await collect())).toEqual([['BLOB', digest]])
    expect(await refusalOf(alice.getBlob({ digest }))).toMatchObject({ reason: 'BLOB_NOT_FOUND' })
    expect(await refusalOf(download(alice, { digest }))).toMatchObject({ reason: 'BLOB_NOT_FOUND' })
    expect(await isMissing(digest)).toBe(true)
    await expect.poll(() => store.listObjects()).toHaveLength(objects.length - 1)
    expect(await collect()).toEqual([])
    expect(await eventsOf(digest)).toEqual(['blob.committed.v1', 'blob.condemned.v1', 'blob.collected.v1'])
  })

  const REVIVALS: [string, (bytes: Buffer, digest: string) => Promise<unknown>][] = [
    ['FindMissingBlobs', (_bytes, digest) => alice.findMissingBlobs({ digests: [digest] })],
    ['an upload', (bytes) => upload(bytes)],
    [
      'the start of an upload',
      (bytes, digest) => artifact.client(UploadService).startUpload({ digest, sizeBytes: BigInt(bytes.length) }),
    ],
    ['a manifest', (bytes) => nameFiles(bytes)],
  ]

  test.each(REVIVALS)('%s revives a condemned blob, even at the last moment', async (how, revive) => {
    const bytes = makeBytes(2000, `revived by ${how}`)
    const digest = await upload(bytes)
    await age(25)
    expect(kindsAndNames(await collect())).toContainEqual(['CONDEMNED', digest])
    await age(26)
    await revive(bytes, digest)
    expect((await alice.getBlob({ digest })).blob!.state).toBe(BlobState.PRESENT)
    expect(await collect()).toEqual([])
    await age(23)
    expect(await collect()).toEqual([])
    expect((await download(alice, { digest })).equals(bytes)).toBe(true)
    expect(await eventsOf(digest)).toEqual(['blob.committed.v1', 'blob.condemned.v1', 'blob.revived.v1'])
  })

  test('rejects GET for a method that renews leases', async () => {
    const message = encodeURIComponent(JSON.stringify({ digests: [] }))
    const ask = (name: string): Promise<Response> => {
      const url = `${artifact.address}/modelkeep.artifact.v1.${name}?connect=v1&encoding=json&message=${message}`
      return fetch(url, { headers: { authorization: 'Bearer alice' } })
    }
    expect((await ask('BlobService/FindMissingBlobs')).status).toBe(405)
    expect((await ask('BlobService/GetBlob')).status).not.toBe(405)
  })

  test('FindMissingBlobs by a reader renews no lease', async () => {
    const digest = await upload(makeBytes(100, 'looked at'))
    await age(25)
    expect(await isMissing(digest, 'reader')).toBe(false)
    expect(kindsAndNames(await collect())).toContainEqual(['CONDEMNED', digest])
    expect(await isMissing(digest, 'reader')).toBe(true)
    await age(26)
    expect(kindsAndNames(await collect())).toEqual([['BLOB', digest]])
  })

  test('retains what a version needs, and collects it after the release', async () => {
    const [shared, own] = [makeBytes(3000, 'shared'), makeBytes(3000, 'own')]
    await upload(shared)
    await upload(own)
    const first = await nameFiles(shared)
    const second = await nameFiles(shared, own)
    const versions = [randomUUID(), randomUUID()]
    await metadata.retainManifest({ namespace: 'default', digest: first, versionId: versions[0]! })
    await metadata.retainManifest({ namespace: 'default', digest: second, versionId: versions[1]! })
    await age(10_000)
    expect(await collect()).toEqual([])
    await metadata.releaseManifest({ namespace: 'default', digest: second, versionId: versions[1]! })
    const planned = kindsAndNames(await collect({ dryRun: true }))
    const collected = kindsAndNames(await collect())
    expect(collected[0]).toEqual(['MANIFEST', second])
    expect(collected).toContainEqual(['CONDEMNED', digestOf(own)])
    expect(collected).not.toContainEqual(['CONDEMNED', digestOf(shared)])
    expect(new Set(planned.map(String))).toEqual(new Set(collected.map(String)))
    expect(await refusalOf(manifests.getManifest({ digest: second }))).toMatchObject({ reason: 'MANIFEST_NOT_FOUND' })
    const again = metadata.retainManifest({ namespace: 'default', digest: second, versionId: randomUUID() })
    expect(await refusalOf(again)).toMatchObject({ reason: 'MANIFEST_NOT_FOUND' })
    await age(26)
    await collect()
    expect(await isMissing(digestOf(own))).toBe(true)
    expect((await download(alice, { digest: digestOf(shared) })).equals(shared)).toBe(true)
    expect(await eventsOf(second)).toEqual(['manifest.created.v1', 'manifest.collected.v1'])
    expect(await refusalOf(nameFiles(shared, own))).toMatchObject({ reason: 'BLOB_MISSING' })
  })

  test('collects a manifest without a version when the lease of its last creation is over', async () => {
    const bytes = makeBytes(500, 'waiting')
    await upload(bytes)
    const digest = await nameFiles(bytes)
    await age(20)
    await nameFiles(bytes)
    await age(20)
    expect(await collect()).toEqual([])
    await metadata.retainManifest({ namespace: 'default', digest, versionId: randomUUID() })
    await age(1000)
    expect(await collect()).toEqual([])
  })

  test('stores bytes while any namespace has them, and collects the blob of each namespace separately', async () => {
    const bytes = makeBytes(4000, 'in two namespaces')
    const digest = await upload(bytes)
    await age(25)
    await upload(bytes, { namespace: 'other', token: 'carol' })
    await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
    const objects = await store.listObjects()
    expect(kindsAndNames(await collect({ namespace: 'other' }))).toEqual([])
    expect(kindsAndNames(await collect({ namespace: 'default' }))).toEqual([['CONDEMNED', digest]])
    await age(26)
    expect(kindsAndNames(await collect({ namespace: 'default' }))).toEqual([['BLOB', digest]])
    expect(await isMissing(digest)).toBe(true)
    const carol = artifact.client(BlobService, 'carol')
    expect((await download(carol, { namespace: 'other', digest })).equals(bytes)).toBe(true)
    expect(await store.listObjects()).toHaveLength(objects.length)
    await collect()
    await age(26)
    expect(kindsAndNames(await collect())).toEqual([['BLOB', digest]])
    await expect.poll(() => store.listObjects()).toHaveLength(objects.length - 1)
  })

  test('accepts a collected blob again, under another object key', async () => {
    const bytes = makeBytes(2 * MIB, 'again')
    const digest = await upload(bytes)
    const keyOf = async () =>
      (await artifact.sql<{ object_key: string }>(`select object_key from artifact.blob where digest = '${digest}'`))[0]
    const before = await keyOf()
    await age(25)
    await collect()
    await age(26)
    await collect()
    expect(await keyOf()).toBeUndefined()
    await upload(bytes)
    expect(await keyOf()).not.toEqual(before)
    await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
    expect((await download(alice, { digest })).equals(bytes)).toBe(true)
  })

  test('finishes a download after the lease, and fails without a wrong byte after the grace period', async () => {
    const bytes = makeBytes(40 * MIB, 'slowly read')
    const digest = await upload(bytes)
    const slowly = async (atStart: () => Promise<void>): Promise<Buffer> => {
      const chunks: Uint8Array[] = []
      for await (const { message } of alice.downloadBlob({ digest })) {
        if (message.case !== 'chunk') continue
        if (chunks.push(message.value) === 1) await atStart()
      }
      return Buffer.concat(chunks)
    }
    const whole = await slowly(async () => {
      await age(25)
      expect(kindsAndNames(await collect())).toEqual([['CONDEMNED', digest]])
      await age(24)
      expect(await collect()).toEqual([])
    })
    expect(whole.equals(bytes)).toBe(true)
    const late = await slowly(async () => {
      await age(2)
      expect(kindsAndNames(await collect())).toEqual([['BLOB', digest]])
    }).catch((error: unknown) => error)
    if (Buffer.isBuffer(late)) expect(late.equals(bytes)).toBe(true)
    else expect(await refusalOf(Promise.reject(late))).toMatchObject({ code: 'DataLoss' })
    // MinIO removes an object only after its last reader is done.
    await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
  })

  test('changes nothing in a dry run', async () => {
    await upload(makeBytes(100, 'dry'))
    await nameFiles(makeBytes(500, 'waiting'))
    await age(30)
    const snapshot = () =>
      Promise.all([
        artifact.sql('select * from artifact.namespace_blob order by 1, 2'),
        artifact.sql('select * from artifact.manifest order by 1, 2'),
        artifact.sql('select * from artifact.blob order by 1'),
        artifact.sql('select * from artifact.outbox order by sequence'),
        store.listObjects(),
      ])
    const before = await snapshot()
    expect(await collect({ dryRun: true })).not.toEqual([])
    expect(await snapshot()).toEqual(before)
  })

  test('rejects collection by a caller who is not an administrator', async () => {
    const asAlice = artifact.client(MaintenanceService)
    const call = async () => {
      for await (const _ of asAlice.collectGarbage({ dryRun: true }));
    }
    expect(await refusalOf(call())).toMatchObject({ code: 'PermissionDenied' })
    expect(await refusalOf(asAlice.getStorage({}))).toMatchObject({ code: 'PermissionDenied' })
  })

  test('GetStorage counts objects and bytes', async () => {
    const { storage, namespaces } = await maintenance.getStorage({})
    const [{ count, sum } = { count: '', sum: '' }] = await artifact.sql<{ count: string; sum: string }>(
      'select count(*), sum(size_bytes) from artifact.blob',
    )
    expect(storage).toMatchObject({ blobs: BigInt(count), blobBytes: BigInt(sum), quarantinedBlobs: 0n })
    expect(namespaces.map(({ namespace }) => namespace)).toContain('default')
  })
})
