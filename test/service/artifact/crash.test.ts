// The service as a separate process, killed at every step.
import { ConnectError } from '@connectrpc/connect'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { MIB } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes, startUpload, writePart } from '../../support/bytes.ts'
import { createDatabase, runSql } from '../../support/database.ts'
import { startFakeIdentity } from '../../support/fake-identity.ts'
import { PLACES } from '../../support/places.ts'
import { refusalOf } from '../../support/refusal.ts'
import { grpcClient, startProcess, type RunningProcess } from '../../support/suite.ts'

/** Turns of the event loop before the kill. */
const TURNS = [0, 150, 1500]

describe.each(PLACES)('a service killed on %s', async (kind, createPlace) => {
  const place = await createPlace()
  const database = await createDatabase()
  const peer = await startFakeIdentity({ alice: { principal: 'alice', roles: { default: Role.CONTRIBUTOR } } })
  const start = () =>
    startProcess('artifact', {
      PORT: '0',
      DATABASE_URL: database.url,
      SERVICE_TOKEN: `mks_${'a'.repeat(40)}`,
      TRUSTED_SERVICES: `metadata=${'0'.repeat(64)}`,
      METADATA_ADDRESS: peer.address,
      AUDIT_ADDRESS: peer.address,
      ...place.settings,
    })
  let running: RunningProcess = await start()
  const uploads = () => grpcClient(UploadService, running.address, 'alice')
  const blobs = () => grpcClient(BlobService, running.address, 'alice')
  const keys = new Set<string>()
  afterAll(async () => {
    await running.kill()
    await peer.close()
    await database.drop()
    await place.drop()
  })

  /** Kills the service during `step`, restarts it, waits until the leases of the killed process expire, and repeats the step. */
  async function withKill<T>(turns: number, step: () => Promise<T>): Promise<T> {
    const first = step().catch((error: unknown) => ConnectError.from(error))
    for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate)
    await running.kill()
    await first
    const rows = (await runSql(database.url, 'select object_key from artifact.upload')) as { object_key: string }[]
    for (const { object_key } of rows) keys.add(object_key)
    await runSql(database.url, 'update artifact.upload set lease_until = now()')
    running = await start()
    return vi.waitFor(step, { timeout: 20_000, interval: 100 })
  }

  test('completes an upload after its part is sent again', { timeout: 120_000 }, async () => {
    for (const turns of TURNS) {
      const bytes = makeBytes(18 * MIB, `part ${kind} ${turns}`)
      const upload = await startUpload(uploads(), bytes)
      await withKill(turns, () => writePart(uploads(), upload, bytes, 1))
      await writePart(uploads(), upload, bytes, 2)
      await uploads().completeUpload({ uploadId: upload.id })
      expect((await download(blobs(), { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
    }
  })

  test('completes an upload when the call is retried', { timeout: 120_000 }, async () => {
    for (const turns of TURNS) {
      const bytes = makeBytes(34 * MIB, `complete ${kind} ${turns}`)
      const upload = await startUpload(uploads(), bytes)
      await Promise.all([1, 2, 3].map((number) => writePart(uploads(), upload, bytes, number)))
      const { blob } = await withKill(turns, () => uploads().completeUpload({ uploadId: upload.id }))
      expect(blob!.digest).toBe(digestOf(bytes))
      expect((await download(blobs(), { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
      const events = await runSql(database.url, 'select 1 from artifact.outbox where resource_id = ?', [blob!.digest])
      expect(events).toHaveLength(1)
    }
  })

  test('stores a blob in one stream when it is sent again', { timeout: 120_000 }, async () => {
    for (const turns of TURNS) {
      const bytes = makeBytes(34 * MIB, `stream ${kind} ${turns}`)
      const { blob } = await withKill(turns, () => blobs().uploadBlob(blobMessages(bytes)))
      expect(blob!.digest).toBe(digestOf(bytes))
    }
  })

  test('leaves nothing of unfinished uploads after they expire', { timeout: 120_000 }, async () => {
    const bytes = makeBytes(34 * MIB, `left ${kind}`)
    const upload = await startUpload(uploads(), bytes)
    await withKill(200, () => refusalOf(writePart(uploads(), upload, bytes, 1)).catch(() => undefined))
    await runSql(
      database.url,
      `update artifact.upload set expire_time = now() where state in ('OPEN', 'SEALING', 'COMPLETING', 'VERIFYING')`,
    )
    await running.kill()
    running = await start()
    const pending = () => runSql(database.url, 'select * from artifact.doomed_object')
    const open = () =>
      runSql(
        database.url,
        `select * from artifact.upload where state in ('OPEN', 'SEALING', 'COMPLETING', 'VERIFYING')`,
      )
    await expect.poll(open, { timeout: 20_000 }).toEqual([])
    await expect.poll(pending, { timeout: 20_000 }).toEqual([])
    const stored = await runSql(database.url, 'select 1 from artifact.blob')
    expect(await place.countEntries([...keys])).toBe(stored.length)
  })
})
