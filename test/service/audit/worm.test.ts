// The copy of the log in a bucket under object lock, on real MinIO, whose keys here are those of its root user.
import { Client } from 'minio'
import { randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, expect, inject, test, vi } from 'vitest'
import { hashLeaf } from '#lib/tlog/merkle.ts'
import { findCheckpoint, findVerifier, openNote } from '#lib/tlog/note.ts'
import { hashParts } from '#lib/tlog/tiles.ts'
import { peaksOf } from '#lib/tlog/merkle.ts'
import type { WormSettings } from '../../../services/audit/jobs/worm.ts'
import { makeEvents, makeSigner, startAudit, type RunningAudit } from '../../support/audit.ts'
import { createDatabase, runSql } from '../../support/database.ts'
import type { S3Access } from '../../support/minio-server.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 180_000 })

const access = (await (await fetch(inject('minioUrl'))).json()) as S3Access
const { hostname, port } = new URL(access.endpoint)
const client = new Client({ endPoint: hostname, port: Number(port), useSSL: false, ...access })
const undo: (() => Promise<unknown>)[] = []
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})
afterAll(async () => {
  await Promise.all(undo.map((step) => step()))
})

/** Objects are locked for minutes only, because a test that is interrupted cannot remove them. */
const wormOf = (init: Partial<WormSettings> = {}): WormSettings => ({
  ...access,
  bucket: `worm-${randomUUID()}`,
  prefix: 'log/',
  retentionMs: 300_000,
  alarmSeconds: 0,
  ...init,
})

async function freshDatabase(): Promise<string> {
  const database = await createDatabase()
  undo.push(() => database.drop())
  return database.url
}

async function start(url: string, options: Parameters<typeof startAudit>[1]): Promise<RunningAudit> {
  const audit = await startAudit(url, options)
  closing.push(() => audit.close())
  return audit
}
const closeLast = async () => void (await closing.pop()!())

async function append(audit: RunningAudit, first: number, count: number): Promise<void> {
  for (let at = 0; at < count; at += 200) {
    await audit.ingest.appendEvents({ events: makeEvents(first + at, Math.min(200, count - at)) })
  }
}

interface Version {
  name: string
  versionId: string
  isDeleteMarker?: boolean
}

async function versionsOf(bucket: string): Promise<Version[]> {
  const found: Version[] = []
  try {
    const stream = client.listObjects(bucket, '', true, { IncludeVersion: true })
    for await (const version of stream as AsyncIterable<Version>) found.push(version)
  } catch (error) {
    if ((error as { code?: string }).code !== 'NoSuchBucket') throw error
  }
  return found
}
const keysOf = async (bucket: string) => (await versionsOf(bucket)).map(({ name }) => name)
const checkpointKey = (size: number) => `log/checkpoint/${String(size).padStart(16, '0')}`

async function read(bucket: string, name: string, versionId?: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  const stream = await client.getObject(bucket, name, versionId ? { versionId } : {})
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const copied = (bucket: string, key: string) =>
  vi.waitFor(async () => expect(await keysOf(bucket)).toContain(key), 30_000)

test('several replicas copy checkpoints, full tiles and entries once, and the copy alone proves the log', async () => {
  const worm = wormOf()
  const signer = makeSigner()
  const url = await freshDatabase()
  const audit = await start(url, { signer, worm })
  await start(url, { signer, worm })
  await append(audit, 1, 600)
  await copied(worm.bucket, checkpointKey(600))
  await copied(worm.bucket, 'log/tile/0/001')
  const versions = await versionsOf(worm.bucket)
  expect(new Set(versions.map(({ name }) => name)).size).toBe(versions.length)
  const tiles = versions.map(({ name }) => name).filter((name) => name.startsWith('log/tile/'))
  expect(tiles).toEqual(['0/000', '0/001', 'entries/000', 'entries/001'].map((path) => `log/tile/${path}`))

  const note = (await read(worm.bucket, checkpointKey(600))).toString()
  const { size, root } = findCheckpoint(openNote(note, findVerifier(signer.vkey)!)!)!
  const rest = (await runSql(url, 'select hashes from audit.tile where level = 0 and index = 2')) as {
    hashes: Buffer
  }[]
  const above = (await runSql(url, 'select hashes from audit.tile where level = 1')) as { hashes: Buffer }[]
  const hashes = await Promise.all([0, 1].map((index) => read(worm.bucket, `log/tile/0/00${index}`)))
  const all = [...hashes, rest[0]!.hashes].map((tile, index) => ({ level: 0, index, hashes: tile }))
  expect(hashParts([peaksOf(0, Number(size))], [...all, { level: 1, index: 0, hashes: above[0]!.hashes }])[0]).toEqual(
    root,
  )
  const bundle = await read(worm.bucket, 'log/tile/entries/001')
  const leaves = []
  for (let at = 0; at < bundle.length; at += 2 + bundle.readUInt16BE(at)) {
    leaves.push(hashLeaf(bundle.subarray(at + 2, at + 2 + bundle.readUInt16BE(at))))
  }
  expect(Buffer.concat(leaves)).toEqual(hashes[1])
})

test('not even the root user removes or replaces copied objects', async () => {
  const worm = wormOf()
  const audit = await start(await freshDatabase(), { signer: makeSigner(), worm })
  await append(audit, 1, 300)
  await copied(worm.bucket, 'log/tile/0/000')
  const { bucket } = worm
  for (const { name, versionId } of await versionsOf(bucket)) {
    const before = await read(bucket, name)
    await expect(client.removeObject(bucket, name, { versionId })).rejects.toThrow(
      /WORM|retention|Locked|Access Denied/i,
    )
    await expect(client.removeObject(bucket, name, { versionId, governanceBypass: true })).rejects.toThrow(/./)
    const soon = new Date(Date.now() + 1_000).toISOString()
    for (const mode of ['COMPLIANCE', 'GOVERNANCE'] as const) {
      const shorter = { mode, retainUntilDate: soon, versionId, governanceBypass: true }
      await expect(client.putObjectRetention(bucket, name, shorter as never)).rejects.toThrow(/./)
    }
    await client.putObject(bucket, name, 'another')
    await client.removeObject(bucket, name)
    expect(await read(bucket, name, versionId)).toEqual(before)
    await expect(client.removeObject(bucket, name, { versionId })).rejects.toThrow(/./)
  }
  await expect(client.removeBucket(bucket)).rejects.toThrow(/./)
})

test('logs an outage of the bucket, and resumes copying after it', async () => {
  const gate = await holdPort()
  const worm = wormOf({ endpoint: gate.endpoint })
  const logs: string[] = []
  const signer = makeSigner()
  const url = await freshDatabase()
  const audit = await start(url, { signer, worm, logs })
  await append(audit, 1, 300)
  await vi.waitFor(() => expect(logs.join()).toContain('has not been copied to the locked bucket'), 30_000)
  expect(logs.join()).toContain('copying to the locked bucket failed; it is retried')
  expect((await fetch(`${audit.address}/healthz`)).status).toBe(200)
  await closeLast()
  // Copying resumes from the recorded progress when the same bucket is reached by another address.
  await gate.free()
  await start(url, { signer, worm: { ...worm, endpoint: access.endpoint }, logs })
  await copied(worm.bucket, 'log/tile/0/000')
  await copied(worm.bucket, checkpointKey(300))
})

test('copies nothing to a bucket without object lock', async () => {
  const worm = wormOf()
  await client.makeBucket(worm.bucket)
  const logs: string[] = []
  const audit = await start(await freshDatabase(), { signer: makeSigner(), worm, logs })
  await append(audit, 1, 300)
  await vi.waitFor(() => expect(logs.join()).toContain('has no object lock'), 30_000)
  expect(await versionsOf(worm.bucket)).toEqual([])
})

test('a rewritten log is reported as another log than the one in the bucket', async () => {
  const worm = wormOf()
  const logs: string[] = []
  const first = await start(await freshDatabase(), { signer: makeSigner(), worm })
  await append(first, 1, 300)
  await copied(worm.bucket, 'log/tile/0/000')
  await closeLast()
  const before = await versionsOf(worm.bucket)
  const other = await start(await freshDatabase(), { signer: makeSigner(), worm, logs })
  await append(other, 1, 300)
  await vi.waitFor(() => expect(logs.join()).toContain('locked bucket belongs to another log'), 30_000)
  await closeLast()
  expect(await versionsOf(worm.bucket)).toEqual(before)
})

test('a database older than the bucket is reported before anything is copied', async () => {
  const worm = wormOf()
  const signer = makeSigner()
  const newer = await start(await freshDatabase(), { signer, worm })
  await append(newer, 1, 40)
  await copied(worm.bucket, checkpointKey(40))
  const logs: string[] = []
  const older = await start(await freshDatabase(), { signer, worm, logs })
  await append(older, 1, 10)
  const message = `bucket has checkpoint/${String(40).padStart(16, '0')}, but the newest checkpoint in the database covers`
  await vi.waitFor(() => expect(logs.join()).toContain(message), 30_000)
  expect(await keysOf(worm.bucket)).not.toContain(checkpointKey(10))
})

/** Starts a server that fails every request. */
async function holdPort(): Promise<{ endpoint: string; free(): Promise<void> }> {
  const server: Server = createServer((_request, response) => response.writeHead(503).end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const free = async () => {
    server.closeAllConnections()
    server.close()
  }
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, free }
}
