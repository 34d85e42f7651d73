// A process killed during garbage collection; another one completes it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { DirectoryStore } from '../../../services/artifact/store/directory/directory-store.ts'
import { blobMessages, digestOf, download, makeBytes } from '../../support/bytes.ts'
import { createDatabase, runSql } from '../../support/database.ts'
import { ageLeases } from '../../support/garbage.ts'
import { startFakeIdentity } from '../../support/fake-identity.ts'
import { grpcClient, startProcess, type RunningProcess } from '../../support/suite.ts'

const BLOBS = 230
/** Messages of the collection that arrive before the kill, or objects that the janitor has left to remove. */
const KILLS = [{ messages: 1 }, { messages: 2, left: 150 }, { messages: 1 }, { messages: 1, left: 60 }]

const root = await mkdtemp(join(tmpdir(), 'modelkeep-gc-'))
const database = await createDatabase()
const peer = await startFakeIdentity({ root: { principal: 'root', roles: { '*': Role.ADMIN } } })
const start = () =>
  startProcess('artifact', {
    PORT: '0',
    DATABASE_URL: database.url,
    SERVICE_TOKEN: `mks_${'a'.repeat(40)}`,
    TRUSTED_SERVICES: `metadata=${'0'.repeat(64)}`,
    METADATA_ADDRESS: peer.address,
    AUDIT_ADDRESS: peer.address,
    STORE: 'directory',
    STORE_DIRECTORY: root,
  })
let running: RunningProcess = await start()
afterAll(async () => {
  await running.kill()
  await peer.close()
  await database.drop()
  await rm(root, { recursive: true })
})

const count = async (table: string): Promise<number> => {
  const [row] = (await runSql(database.url, `select count(*)::int count from artifact.${table}`)) as { count: number }[]
  return row!.count
}
const listObjects = async (): Promise<string[]> => {
  const keys: string[] = []
  for await (const { key } of new DirectoryStore(root).list()) keys.push(key)
  return keys.toSorted()
}

test('a killed collector loses no blob and leaves no object behind', { timeout: 240_000 }, async () => {
  const all = Array.from({ length: BLOBS }, (_, index) => makeBytes(50, `crash ${index}`))
  const kept = makeBytes(50, 'kept')
  const blobs = () => grpcClient(BlobService, running.address, 'root')
  for (let at = 0; at < BLOBS; at += 50) {
    await Promise.all(all.slice(at, at + 50).map((bytes) => blobs().uploadBlob(blobMessages(bytes))))
  }
  await ageLeases(database.url, 30)
  for (const { messages, left = 0 } of KILLS) {
    await blobs().uploadBlob(blobMessages(kept))
    await collectFor(messages).catch(() => undefined)
    if (left > 0)
      await vi.waitUntil(async () => (await count('doomed_object')) <= left, { timeout: 60_000, interval: 5 })
    await running.kill()
    // Expires the claims of the killed process.
    await runSql(database.url, 'update artifact.doomed_object set claimed_until = null')
    running = await start()
    await ageLeases(database.url, 30)
    expect((await download(blobs(), { digest: digestOf(kept) })).equals(kept)).toBe(true)
  }
  await blobs().uploadBlob(blobMessages(kept))
  await collectFor(Infinity)
  await expect.poll(() => count('doomed_object'), { timeout: 30_000 }).toBe(0)
  expect(await count('blob')).toBe(1)
  const rows = (await runSql(database.url, 'select object_key from artifact.blob')) as { object_key: string }[]
  expect(await listObjects()).toEqual(rows.map((row) => row.object_key))
  expect((await download(blobs(), { digest: digestOf(kept) })).equals(kept)).toBe(true)
  const stories = await runSql(
    database.url,
    `select story, count(*)::int count from (
        select string_agg(event ->> 'type', ' ' order by sequence) story from artifact.outbox
          where event ->> 'type' like 'blob.%' and resource_id != '${digestOf(kept)}' group by resource_id
      ) stories group by story`,
  )
  expect(stories).toEqual([{ story: 'blob.committed.v1 blob.condemned.v1 blob.collected.v1', count: BLOBS }])
})

async function collectFor(messages: number): Promise<void> {
  let seen = 0
  for await (const _ of grpcClient(MaintenanceService, running.address, 'root').collectGarbage({})) {
    seen += 1
    if (seen === messages) return
  }
}
