// The janitor with a store that ignores, repeats or delays requests.
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { Part } from '../../../services/artifact/domain/part.ts'
import { newObjectKey, storeUnavailable } from '../../../services/artifact/store/byte-store.ts'
import { DEFAULT_PERIODS } from '../../../services/artifact/jobs/garbage/collector.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, makeBytes } from '../../support/bytes.ts'
import {
  expectNothingLeft,
  pull,
  pushInOneStream,
  pushInParts,
  startChaosArtifact,
} from '../../support/chaos-artifact.ts'
import { collectGarbage, kindsAndNames } from '../../support/garbage.ts'
import { refusalOf } from '../../support/refusal.ts'
import { wholePart } from '../../support/store-contract.ts'
import { changed } from '../../support/store-spies.ts'

interface Row {
  object_key: string
  keeps_object: boolean
  waits: boolean
}
const ROWS = `select object_key, keeps_object, claimed_until > now() + interval '50 seconds' waits
  from artifact.doomed_object order by create_time`

describe.each(STORES)('the janitor of %s', async (_kind, createStore) => {
  const store = await createStore()
  const own = store.open()
  const stubborn = new Set<string>()
  const remove = async (key: string): Promise<void> => {
    if (stubborn.has(key)) throw storeUnavailable(new Error('not this one'))
    await own.remove(key)
  }
  const lost: { key: string; part: Part }[] = []
  let loses = false
  const put = async (key: string, part: Part): Promise<void> => {
    if (!loses) return own.put(key, part)
    const copies = (await part.readAll()).pieces.map((piece) => Buffer.from(piece))
    lost.push({ key, part: new Part(part.length, part.sha256, copies) })
    throw storeUnavailable(new Error('no answer'))
  }
  const limits = { periods: { ...DEFAULT_PERIODS, orphanSeconds: 0 } }
  const artifact = await startArtifact(store, { bytes: changed(own, { remove, put }), limits })
  afterAll(() => artifact.stop())

  test('delays objects that it cannot delete, without delaying the others', async () => {
    const keys = Array.from({ length: 50 }, newObjectKey)
    // The oldest, more than are taken at a time.
    for (const key of keys.slice(0, 45)) stubborn.add(key)
    for (const key of keys) await own.put(key, wholePart(Buffer.from(key)))
    const values = keys.map((key, index) => `('${key}', now() - interval '${100 - index} minutes')`)
    // The search for orphans may have inserted some of these rows already.
    await artifact.sql(`insert into artifact.doomed_object (object_key, create_time) values ${values.join()}
      on conflict (object_key) do update set create_time = excluded.create_time, claimed_until = null, attempts = 0`)
    const left = keys.slice(0, 45).map((object_key) => ({ object_key, keeps_object: false, waits: true }))
    await expect.poll(() => artifact.sql<Row>(ROWS), { timeout: 10_000 }).toEqual(left)
    expect((await store.listObjects()).toSorted()).toEqual(keys.slice(0, 45).toSorted())
    await artifact.sql('update artifact.doomed_object set claimed_until = null')
    const attempts = () => artifact.sql('select distinct attempts from artifact.doomed_object')
    await expect.poll(attempts, { timeout: 10_000 }).toEqual([{ attempts: 2 }])
    const waiting = `select 1 from artifact.doomed_object where claimed_until < now() + interval '100 seconds'`
    expect(await artifact.sql(waiting)).toEqual([])
    stubborn.clear()
    await artifact.sql('update artifact.doomed_object set claimed_until = null')
    await expect.poll(() => store.listObjects()).toEqual([])
    expect(await artifact.sql(ROWS)).toEqual([])
  })

  test('deletes an object that was stored after its upload was abandoned', async () => {
    const bytes = makeBytes(MIB, 'late')
    loses = true
    const upload = artifact.client(BlobService).uploadBlob(blobMessages(bytes))
    expect(await refusalOf(upload)).toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE' })
    loses = false
    await expect.poll(() => artifact.sql(ROWS)).toEqual([])
    const [late] = lost
    await own.put(late!.key, late!.part)
    expect(await store.listObjects()).toEqual([late!.key])
    expect(kindsAndNames(await collectGarbage(artifact))).toEqual([['OBJECT', late!.key]])
    await expect.poll(() => store.listObjects()).toEqual([])
  })
})

describe('an object that was begun more than once', async () => {
  const place = await startChaosArtifact()
  afterAll(() => place.stop())
  const { artifact, chaos } = place

  test.each([
    ['one stream', pushInOneStream],
    ['parts', pushInParts],
  ])(
    'leaves its blob, and aborts a second multipart upload that was not listed when %s was complete',
    async (how, push) => {
      const bytes = makeBytes(17 * MIB, `duplicate of ${how}`)
      chaos.harm({ operation: 'CreateMultipartUpload', fault: 'sent twice' })
      chaos.harm({ operation: 'ListUploads', fault: 'too busy', times: 1000 })
      await push(place, bytes)
      expect(await artifact.sql<Row>(ROWS)).toMatchObject([{ keeps_object: true, waits: true }])
      await expectNothingLeft(place)
      await pull(place, bytes)
    },
  )

  test.each([
    ['one stream', pushInOneStream],
    ['parts', pushInParts],
  ])('leaves its blob, and aborts a second multipart upload that began after %s was complete', async (how, push) => {
    const bytes = makeBytes(17 * MIB, `late duplicate of ${how}`)
    chaos.harm({ operation: 'CreateMultipartUpload', fault: 'done later than it seems' })
    await push(place, bytes)
    expect(await artifact.sql<Row>(ROWS)).toMatchObject([{ keeps_object: true, waits: true }])
    await expectNothingLeft(place)
    await pull(place, bytes)
  })

  test('stays while its upload is open, and is deleted with an aborted upload', async () => {
    const bytes = makeBytes(17 * MIB, 'aborted')
    chaos.harm({ operation: 'CreateMultipartUpload', fault: 'a lost answer' })
    const { result } = await place.uploads.startUpload({
      digest: `sha256:${'ab'.repeat(32)}`,
      sizeBytes: BigInt(bytes.length),
    })
    const uploadId = (result.value as { id: string }).id
    await artifact.sql('update artifact.doomed_object set claimed_until = null')
    await collectGarbage(artifact)
    expect(await artifact.sql<Row>(ROWS)).toMatchObject([{ keeps_object: true }])
    await place.uploads.abortUpload({ uploadId })
    expect(await artifact.sql<Row>(ROWS)).not.toMatchObject([{ keeps_object: true }])
    await expectNothingLeft(place)
  })
})
