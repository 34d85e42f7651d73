// A service whose store is unavailable: its directory is not mounted, its bucket is gone, or another one is in its place.
import { randomUUID } from 'node:crypto'
import { access } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { BlobState } from '#gen/modelkeep/artifact/v1/blob_pb.ts'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { newObjectKey, storeUnavailable } from '../../../services/artifact/store/byte-store.ts'
import { DirectoryStore } from '../../../services/artifact/store/directory/directory-store.ts'
import { startArtifact, STORES, type Replica, type TestStore } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes, startUpload, writePart } from '../../support/bytes.ts'
import { collectGarbage } from '../../support/garbage.ts'
import { refusalOf } from '../../support/refusal.ts'
import { wholePart } from '../../support/store-contract.ts'
import { changed } from '../../support/store-spies.ts'

const UNAVAILABLE = { code: 'Unavailable', reason: 'DEPENDENCY_UNAVAILABLE', metadata: { dependency: 'store' } }
/** Limits under which the background jobs run once, while nothing is due. */
const QUIET = { sweepEveryMs: 3_600_000 }

describe.each(STORES)('a service on %s', async (kind, createStore) => {
  const store = await createStore()
  const artifact = await startArtifact(store, { limits: QUIET })
  afterAll(() => artifact.stop())
  const blobs = artifact.client(BlobService)
  const uploads = artifact.client(UploadService)

  async function storeBlob(seed: string): Promise<{ bytes: Buffer; digest: string }> {
    const bytes = makeBytes(1000, seed)
    await blobs.uploadBlob(blobMessages(bytes))
    return { bytes, digest: digestOf(bytes) }
  }
  /** Runs `work` with a replica whose store is `place`; `logged` waits for a line of its log. */
  async function withStore(
    place: TestStore,
    work: (away: Replica, logged: (message: string) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const lines: string[] = []
    const away = await artifact.addReplica({ bytes: place.open(), onLog: (line) => lines.push(line) })
    const logged = (message: string) => expect.poll(() => lines.join('\n')).toContain(message)
    await work(away, logged).finally(() => away.stop())
  }
  const verify = async (away: Replica, digest: string) => {
    for await (const _ of away.client(MaintenanceService).verifyBlob({ digest }));
  }

  const PLACES: [string, (place: TestStore) => Promise<unknown>][] = [
    ['gone', (place) => place.drop()],
    ['empty', async () => {}],
    ['the store of another installation', (place) => place.open().mark(randomUUID())],
  ]

  test.each(PLACES)('loses, quarantines and deletes nothing while its store is %s', async (what, prepare) => {
    const { bytes, digest } = await storeBlob(`known ${what}`)
    const begun = makeBytes(1000, `begun ${what}`)
    const upload = await startUpload(uploads, begun)
    await writePart(uploads, upload, begun, 1)
    const unsent = await startUpload(uploads, makeBytes(1000, `unsent ${what}`))
    const pendingKey = newObjectKey()
    await store.open().put(pendingKey, wholePart(Buffer.from('pending')))
    await artifact.sql(`insert into artifact.doomed_object (object_key) values ('${pendingKey}')`)
    const place = await createStore()
    await prepare(place)
    const marks = () =>
      place
        .open()
        .listMarks()
        .catch(() => [])
    const before = await marks()
    await artifact.sql(`update artifact.blob set verify_time = now() - interval '40 days' where digest = '${digest}'`)
    await withStore(place, async (away, logged) => {
      await logged('verification of stored bytes failed')
      await logged('pending deletions failed')
      await logged('the mark of this installation')
      const there = away.client(UploadService)
      for (const call of [
        () => verify(away, digest),
        () => download(away.client(BlobService), { digest }),
        () => writePart(there, unsent, makeBytes(1000, `unsent ${what}`), 1),
        () => there.completeUpload({ uploadId: upload.id }),
        () => collectGarbage(away),
      ]) {
        expect(await refusalOf(call())).toMatchObject(UNAVAILABLE)
      }
      expect((await fetch(`${away.address}/healthz`)).status).toBe(503)
      if (what === 'gone' || (what === 'empty' && kind === 'a directory')) {
        const newUpload = away.client(BlobService).uploadBlob(blobMessages(makeBytes(9, `new ${what}`)))
        expect(await refusalOf(newUpload)).toMatchObject(UNAVAILABLE)
      }
    })
    expect(await marks()).toEqual(before)
    expect(await artifact.sql(`select from artifact.doomed_object where object_key = '${pendingKey}'`)).toHaveLength(1)
    expect(
      await artifact.sql(`select from artifact.blob where state <> 'PRESENT' or verify_time < '1971-01-01'`),
    ).toEqual([])
    expect((await fetch(`${artifact.address}/healthz`)).status).toBe(200)
    expect((await download(blobs, { digest })).equals(bytes)).toBe(true)
    await uploads.completeUpload({ uploadId: upload.id })
    await writePart(uploads, unsent, makeBytes(1000, `unsent ${what}`), 1)
    await uploads.completeUpload({ uploadId: unsent.id })
    if (what !== 'gone') await place.drop()
  })

  test('quarantines nothing when its store becomes unavailable between two reads', async () => {
    const { digest } = await storeBlob('between two reads')
    const own = store.open()
    let reads = 0
    const bytes = changed(own, {
      async stat() {
        reads += 1
        return undefined
      },
      async check(installation) {
        if (reads > 1) throw storeUnavailable(new Error('unmounted meanwhile'))
        await own.check(installation)
      },
    })
    const away = await artifact.addReplica({ bytes, limits: QUIET })
    expect(await refusalOf(verify(away, digest))).toMatchObject(UNAVAILABLE)
    expect(reads).toBe(2)
    expect((await blobs.getBlob({ digest })).blob!.state).toBe(BlobState.PRESENT)
    await away.stop()
  })

  test('creates its store at the first start, or as soon as the store is available', async () => {
    const place = await createStore()
    await place.drop()
    const own = place.open()
    const fail = () => Promise.reject(storeUnavailable(new Error('not yet')))
    let attempts = 0
    const mark = (installation: string) => ((attempts += 1) > 2 ? own.mark(installation) : fail())
    const fresh = await startArtifact(place, { bytes: changed(own, { mark }), limits: { sweepEveryMs: 100 } })
    await expect.poll(() => own.listMarks().catch(() => [])).toHaveLength(1)
    await fresh.client(BlobService).uploadBlob(blobMessages(makeBytes(1000, 'the first of all')))
    expect((await fetch(`${fresh.address}/healthz`)).status).toBe(200)
    await fresh.stop()
  })
})

test('neither a check nor a write creates a missing root directory', async () => {
  const root = join(tmpdir(), `modelkeep-gone-${randomUUID()}`)
  const bytes = new DirectoryStore(root)
  const key = newObjectKey()
  for (const call of [
    () => bytes.check(randomUUID()),
    () => bytes.begin(key),
    () => bytes.put(key, wholePart(Buffer.from('nowhere'))),
  ]) {
    await expect(call()).rejects.toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE' })
  }
  await expect(access(root)).rejects.toMatchObject({ code: 'ENOENT' })
})
