import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BlobState } from '#gen/modelkeep/artifact/v1/blob_pb.ts'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { Verdict } from '#gen/modelkeep/artifact/v1/maintenance_pb.ts'
import { MaintenanceService, type VerifyBlobResponse } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes } from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'
import { wholePart } from '../../support/store-contract.ts'

describe.each(STORES)('verification of bytes in %s', async (_kind, createStore) => {
  const store = await createStore()
  const artifact = await startArtifact(store)
  const replica = await artifact.addReplica()
  afterAll(async () => {
    await replica.stop()
    await artifact.stop()
  })
  const alice = artifact.client(BlobService)
  const uploads = artifact.client(UploadService)

  const keyOf = async (digest: string): Promise<string> => {
    const [row] = await artifact.sql<{ object_key: string }>(
      `select object_key from artifact.blob where digest = '${digest}'`,
    )
    return row!.object_key
  }
  const storeBlob = async (bytes: Buffer) => {
    await alice.uploadBlob(blobMessages(bytes))
    const digest = digestOf(bytes)
    return { digest, key: await keyOf(digest) }
  }
  const verify = async (digest: string, token = 'alice'): Promise<VerifyBlobResponse> => {
    let last: VerifyBlobResponse | undefined
    for await (const answer of artifact.client(MaintenanceService, token).verifyBlob({ digest })) last = answer
    return last!
  }
  const stateOf = async (digest: string) => (await alice.getBlob({ digest })).blob!.state
  const eventsOf = async (digest: string) =>
    artifact.sql<{ type: string; actor: string; namespace: string; problem: string | null }>(
      `select event ->> 'type' as type, event #>> '{actor,principal}' as actor,
          event #>> '{resource,namespace}' as namespace, event #>> '{details,problem}' as problem
        from artifact.outbox where resource_id = '${digest}' and event ->> 'type' != 'blob.committed.v1' order by sequence`,
    )

  const DAMAGES: [string, string, Verdict, (key: string, bytes: Buffer) => Promise<unknown>][] = [
    ['a flipped byte', 'content', Verdict.WRONG, (key, bytes) => store.overwrite(key, flipped(bytes))],
    ['a missing end', 'size', Verdict.WRONG, (key, bytes) => store.overwrite(key, bytes.subarray(0, -1))],
    ['added bytes', 'size', Verdict.WRONG, (key, bytes) => store.overwrite(key, Buffer.concat([bytes, bytes]))],
    ['other bytes', 'content', Verdict.WRONG, (key, bytes) => store.overwrite(key, Buffer.alloc(bytes.length))],
    ['a missing object', 'missing', Verdict.MISSING, (key) => store.open().remove(key)],
  ]
  const FINDERS: [string, (digest: string) => Promise<unknown>][] = [
    ['VerifyBlob', (digest) => verify(digest)],
    ['a download', (digest) => refusalOf(download(alice, { digest }))],
    [
      'the scrubber',
      (digest) =>
        artifact.sql(`update artifact.blob set verify_time = now() - interval '40 days' where digest = '${digest}'`),
    ],
  ]
  const cases = DAMAGES.flatMap((damage) => FINDERS.map((finder) => ({ damage, finder }))).filter(
    // A download ends at the recorded size, so it cannot see bytes after that.
    ({ damage, finder }) => damage[0] !== 'added bytes' || finder[0] !== 'a download',
  )

  test.each(cases.map((each) => [each.damage[0], each.finder[0], each] as const))(
    'quarantines a blob with %s found by %s, and serves it again after an upload',
    async (what, who, { damage: [, problem, verdict, damage], finder: [, find] }) => {
      const bytes = makeBytes(what === 'a flipped byte' ? 17 * MIB : MIB, `${what} ${who}`)
      const { digest, key } = await storeBlob(bytes)
      await damage(key, bytes)
      await find(digest)
      await expect.poll(() => stateOf(digest)).toBe(BlobState.QUARANTINED)
      expect(await eventsOf(digest)).toEqual([
        { type: 'blob.quarantined.v1', actor: 'service:artifact', namespace: 'default', problem },
      ])
      expect((await verify(digest)).verdict).toBe(verdict)
      expect(await refusalOf(download(alice, { digest, length: 1n }))).toMatchObject({
        code: 'DataLoss',
        reason: 'BLOB_CORRUPT',
      })
      expect((await alice.findMissingBlobs({ digests: [digest] })).missingDigests).toEqual([digest])
      const files = [{ path: 'a.bin', digest, sizeBytes: BigInt(bytes.length) }]
      const named = artifact.client(ManifestService).createManifest({ files })
      expect(await refusalOf(named)).toMatchObject({ reason: 'BLOB_MISSING' })
      const { result } = await uploads.startUpload({ digest, sizeBytes: BigInt(bytes.length) })
      expect(result.case).toBe('upload')

      expect((await alice.uploadBlob(blobMessages(bytes))).existed).toBe(false)
      expect(await stateOf(digest)).toBe(BlobState.PRESENT)
      expect((await download(alice, { digest })).equals(bytes)).toBe(true)
      expect(await keyOf(digest)).not.toBe(key)
      expect((await eventsOf(digest)).map(({ type }) => type)).toEqual(['blob.quarantined.v1', 'blob.repaired.v1'])
      await expect.poll(async () => (await store.listObjects()).includes(key)).toBe(false)
    },
  )

  test('reports both of two swapped objects as wrong', async () => {
    const all = [makeBytes(MIB, 'left'), makeBytes(MIB, 'right')]
    const [left, right] = [await storeBlob(all[0]!), await storeBlob(all[1]!)]
    await store.overwrite(left.key, all[1]!)
    await store.overwrite(right.key, all[0]!)
    for (const { digest } of [left, right]) expect((await verify(digest)).verdict).toBe(Verdict.WRONG)
  })

  test('leaves right bytes as they are, and reports the time of verification', async () => {
    const bytes = makeBytes(33 * MIB, 'right')
    const { digest } = await storeBlob(bytes)
    expect((await alice.getBlob({ digest })).blob!.verifyTime).toBeUndefined()
    const { verdict, readBytes, blob } = await verify(digest)
    expect({ verdict, readBytes }).toEqual({ verdict: Verdict.RIGHT, readBytes: BigInt(bytes.length) })
    expect(blob!.verifyTime).toBeDefined()
    expect(await eventsOf(digest)).toEqual([])
    const empty = await storeBlob(Buffer.alloc(0))
    expect((await verify(empty.digest)).verdict).toBe(Verdict.RIGHT)
  })

  test('serves a quarantined blob again once its bytes are right', async () => {
    const bytes = makeBytes(MIB, 'back again')
    const { digest, key } = await storeBlob(bytes)
    await store.overwrite(key, flipped(bytes))
    await verify(digest)
    expect(await stateOf(digest)).toBe(BlobState.QUARANTINED)
    await store.overwrite(key, bytes)
    expect((await verify(digest)).verdict).toBe(Verdict.RIGHT)
    expect((await download(alice, { digest })).equals(bytes)).toBe(true)
  })

  test('replicas verify each blob once between them', async () => {
    const digests: string[] = []
    for (let index = 0; index < 12; index += 1) digests.push((await storeBlob(makeBytes(1000, `turn ${index}`))).digest)
    const list = digests.map((digest) => `'${digest}'`).join()
    await artifact.sql(`update artifact.blob set verify_time = now() - interval '31 days' where digest in (${list})`)
    const due = `select digest from artifact.blob where digest in (${list}) and verify_time < now() - interval '1 day'`
    await expect.poll(() => artifact.sql(due)).toEqual([])
  })

  test('emits one event per namespace for a quarantine, and one repair ends it for all', async () => {
    const bytes = makeBytes(MIB, 'shared by two')
    const { digest, key } = await storeBlob(bytes)
    const carol = artifact.client(BlobService, 'carol')
    await carol.uploadBlob(blobMessages(bytes, { namespace: 'other' }))
    await store.overwrite(key, flipped(bytes))
    await verify(digest)
    await carol.uploadBlob(blobMessages(bytes, { namespace: 'other' }))
    expect((await download(alice, { digest })).equals(bytes)).toBe(true)
    const events = await eventsOf(digest)
    expect(events.map(({ type, namespace }) => `${type} ${namespace}`)).toEqual([
      'blob.quarantined.v1 default',
      'blob.quarantined.v1 other',
      'blob.repaired.v1 default',
      'blob.repaired.v1 other',
    ])
    expect(new Set(events.map(({ actor }) => actor))).toEqual(new Set(['service:artifact']))
  })

  test('rejects a verification by a caller who cannot write the namespace', async () => {
    const { digest } = await storeBlob(makeBytes(100, 'not yours'))
    expect(await refusalOf(verify(digest, 'carol'))).toMatchObject({ code: 'PermissionDenied' })
    expect(await refusalOf(verify(digestOf(Buffer.from('nothing'))))).toMatchObject({ reason: 'BLOB_NOT_FOUND' })
  })

  describe('orphans', () => {
    const orphan = 'objects/ab/ab000000-0000-4000-8000-000000000000'
    const begun = 'objects/cd/cd000000-0000-4000-8000-000000000000'
    const old = { leaseSeconds: 86_400, graceSeconds: 90_000, orphanSeconds: 0, scrubDays: 0, scrubBytesPerSecond: MIB }
    beforeAll(async () => {
      const bytes = store.open()
      const content = Buffer.from('nobody knows')
      await bytes.put(orphan, wholePart(content))
      const uploadId = await bytes.begin(begun)
      await bytes.putPart({ key: begun, uploadId, number: 1, offset: 0 }, wholePart(content))
    })

    test('deletes old objects without a row, and no young or known ones', async () => {
      const known = await storeBlob(makeBytes(MIB, 'known'))
      const { result } = await uploads.startUpload({
        digest: digestOf(makeBytes(MIB, 'begun')),
        sizeBytes: BigInt(MIB),
      })
      const [row] = await artifact.sql<{ object_key: string }>(
        `select object_key from artifact.upload where id = '${(result.value as { id: string }).id}'`,
      )
      const collect = async (from: typeof artifact | typeof replica, dryRun: boolean): Promise<string[]> => {
        const names: string[] = []
        for await (const { garbage } of from.client(MaintenanceService, 'root').collectGarbage({ dryRun }))
          names.push(...garbage.map(({ name }) => name))
        return names
      }
      expect(await collect(artifact, false)).not.toContain(orphan)
      expect(await store.listObjects()).toContain(orphan)
      const impatient = await artifact.addReplica({ limits: { periods: old } })
      try {
        expect(await collect(impatient, true)).toEqual([orphan, begun])
        expect(await store.listObjects()).toContain(orphan)
        expect(await collect(impatient, false)).toEqual([orphan, begun])
        await expect.poll(() => store.listObjects()).not.toContain(orphan)
        expect(await store.listUnfinished([begun, row!.object_key])).toEqual([row!.object_key])
        expect(await store.listObjects()).toContain(known.key)
        expect(await collect(impatient, false)).toEqual([])
        const events = await artifact.sql<{ id: string; keys: string[] }>(
          `select event #>> '{resource,id}' as id, event #> '{details,keys}' as keys
            from artifact.outbox where event ->> 'type' = 'orphan.removed.v1' order by sequence`,
        )
        expect(events).toEqual([
          { id: 'objects', keys: [orphan] },
          { id: 'unfinished', keys: [begun] },
        ])
      } finally {
        await impatient.stop()
      }
    })
  })
})

function flipped(bytes: Buffer): Buffer {
  const other = Buffer.from(bytes)
  other[Math.floor(other.length / 2)]! ^= 1
  return other
}
