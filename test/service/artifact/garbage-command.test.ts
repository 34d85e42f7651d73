// artifact gc, verify and stat, on the artifact service alone.
import { afterAll, expect, test, vi } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, makeBytes } from '../../support/bytes.ts'
import { runCli } from '../../support/cli.ts'
import { ageLeases } from '../../support/garbage.ts'

const [, createStore] = STORES[1]!
const store = await createStore()
const artifact = await startArtifact(store)
afterAll(() => artifact.stop())

// Every command is a process of its own.
vi.setConfig({ testTimeout: 120_000 })

const run = (token: string, ...args: string[]) =>
  runCli(['artifact', ...args], { MODELKEEP_ADDRESS: artifact.address, MODELKEEP_TOKEN: token })
const upload = async (bytes: Buffer): Promise<string> => {
  await artifact.client(BlobService).uploadBlob(blobMessages(bytes))
  return digestOf(bytes)
}

test('gc previews, condemns and collects garbage, and reports when there is none', async () => {
  const digest = await upload(makeBytes(2048, 'garbage of the command'))
  expect(await run('root', 'gc')).toMatchObject({ code: 0, out: 'no garbage\n' })
  await ageLeases(artifact.database.url, 25)
  const dry = await run('root', 'gc', '--dry-run')
  expect(dry.out).toMatch(/to condemn +default +sha256:[0-9a-f]{12}… +2\.0 KiB\nto condemn: 1, 2\.0 KiB\n$/)
  expect(dry.err).toContain('grace period')
  expect((await run('root', 'gc', '-n', 'other')).out).toBe('no garbage\n')
  expect(JSON.parse((await run('root', 'gc', '--json')).out)).toEqual({
    dryRun: false,
    garbage: [{ kind: 'GARBAGE_KIND_CONDEMNED', namespace: 'default', name: digest, sizeBytes: '2048' }],
  })
  expect((await run('alice', 'stat', digest)).out).toMatch(/condemned +2\.0 KiB .* sha256:/)
  await ageLeases(artifact.database.url, 26)
  expect((await run('root', 'gc')).out).toContain('removed: 1, 2.0 KiB')
  expect(await run('alice', 'stat', digest)).toMatchObject({ code: 3 })
  expect(await run('alice', 'gc')).toMatchObject({ code: 4 })
})

test('verify exits with 7 while the stored bytes are wrong', async () => {
  const bytes = makeBytes(4096, 'verified by the command')
  const digest = await upload(bytes)
  const right = await run('alice', 'verify', digest)
  expect(right).toMatchObject({ code: 0, err: '' })
  expect(right.out).toMatch(/right +4\.0 KiB +sha256:/)
  const [row] = await artifact.sql<{ object_key: string }>(
    `select object_key from artifact.blob where digest = '${digest}'`,
  )
  await store.overwrite(row!.object_key, Buffer.alloc(4096))
  const wrong = await run('alice', 'verify', digest, '--json')
  expect(wrong.code).toBe(7)
  expect(JSON.parse(wrong.out)).toMatchObject({ files: [{ digest, verdict: 'VERDICT_WRONG' }] })
  expect((await run('alice', 'stat', digest)).out).toContain('quarantined')
  expect((await run('root', 'stat')).out).toMatch(/quarantined +1, 4\.0 KiB/)
  await upload(bytes)
  expect(await run('alice', 'verify', digest)).toMatchObject({ code: 0 })
  expect(await run('alice', 'verify', digestOf(Buffer.from('nothing')))).toMatchObject({ code: 3 })
})

test('stat prints all totals', async () => {
  const { out, code } = await run('root', 'stat')
  expect(code).toBe(0)
  expect(out).toMatch(/stored +\d+ blobs, /)
  expect(out).toMatch(/NAMESPACE +LISTS +FILES +BLOBS +STORED +CONDEMNED\ndefault /)
  const { storage } = JSON.parse((await run('root', 'stat', '--json')).out) as { storage: { blobs: string } }
  expect(Number(storage.blobs)).toBeGreaterThan(0)
})
