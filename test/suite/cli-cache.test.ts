// Pulls through the cache: a second pull downloads nothing, and damaged entries are never used.
import { randomBytes } from 'node:crypto'
import { chmod, chown, link, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runCli, type Ended } from '../support/cli.ts'
import { sha256, startFakeRegistry, type FakeRegistry } from '../support/fake-registry.ts'

const bytes = randomBytes(300_000)
const SIZE = bytes.length
let directory: string
let cache: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'modelkeep-cache-'))
  cache = join(directory, 'cache')
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

function run(registry: FakeRegistry, ...args: string[]): Promise<Ended> {
  return runCli(args, {
    MODELKEEP_ADDRESS: registry.address,
    MODELKEEP_TOKEN: 'mk_fake',
    MODELKEEP_CACHE_DIR: cache,
    MODELKEEP_CACHE_SIZE: '1GiB',
  })
}

async function pull(registry: FakeRegistry, out: string, ...more: string[]) {
  const { code, out: said, err } = await run(registry, 'pull', 'vad:1', join(directory, out), '--json', ...more)
  expect(err).toBe('')
  expect(code).toBe(0)
  return JSON.parse(said) as { receivedBytes: number; cachedBytes: number }
}

function entryOf(content: Buffer): string {
  const hex = sha256(content).slice('sha256:'.length)
  return join(cache, 'blobs', 'sha256', hex.slice(0, 2), hex)
}

test('a second pull of a version downloads nothing', async () => {
  await using registry = await startFakeRegistry([
    { path: 'deep/model.bin', bytes },
    { path: 'empty', bytes: Buffer.alloc(0) },
  ])
  expect(await pull(registry, 'one')).toMatchObject({ receivedBytes: SIZE, cachedBytes: 0 })
  const { out } = await run(registry, 'pull', 'vad:1', join(directory, 'two'))
  expect(out).toMatch(/received +0 B, 293 KiB from the cache/)
  expect(registry.sent()).toBe(SIZE)
  for (const name of ['one', 'two']) {
    expect((await readFile(join(directory, name, 'deep/model.bin'))).equals(bytes)).toBe(true)
    expect(await readFile(join(directory, name, 'empty'))).toHaveLength(0)
  }
  const { mode, nlink } = await stat(entryOf(bytes))
  expect(mode & 0o777).toBe(0o444)
  // A file system with reflinks shares no inode.
  expect([1, 3]).toContain(nlink)
  expect((await stat(join(cache, 'blobs'))).mode & 0o777).toBe(0o700)
})

test('replaces an entry whose bytes were changed', async () => {
  await using registry = await startFakeRegistry([{ path: 'a', bytes }])
  await pull(registry, 'one')
  const entry = entryOf(bytes)
  const { mtime } = await stat(entry)
  await chmod(entry, 0o644)
  await writeFile(entry, Buffer.alloc(SIZE, 1))
  await utimes(entry, mtime, mtime)
  expect(await pull(registry, 'two')).toMatchObject({ receivedBytes: SIZE, cachedBytes: 0 })
  expect((await readFile(join(directory, 'two/a'))).equals(bytes)).toBe(true)
  expect((await readFile(entry)).equals(bytes)).toBe(true)
  await chmod(entry, 0o644)
  await writeFile(entry, bytes.subarray(1))
  expect(await pull(registry, 'three')).toMatchObject({ receivedBytes: SIZE })
})

test('evicts the least recently used file first', async () => {
  const [older, newer] = [randomBytes(SIZE), randomBytes(SIZE)]
  await using first = await startFakeRegistry([{ path: 'a', bytes: older }])
  await using second = await startFakeRegistry([{ path: 'a', bytes: newer }])
  await using third = await startFakeRegistry([{ path: 'a', bytes }])
  await pull(first, 'one')
  await pull(second, 'two')
  const hourAgo = new Date(Date.now() - 3_600_000)
  await utimes(entryOf(newer), hourAgo, hourAgo)
  await pull(third, 'three', '--cache-size', '700000')
  expect((await stat(entryOf(older))).size).toBe(SIZE)
  expect((await stat(entryOf(bytes))).size).toBe(SIZE)
  await expect(stat(entryOf(newer))).rejects.toThrow('ENOENT')
  const { out } = await run(third, 'cache', 'show', '--json')
  expect(JSON.parse(out)).toMatchObject({ files: 2, heldBytes: 2 * SIZE, maxBytes: 2 ** 30 })
  await mkdir(join(cache, 'other'))
  expect((await run(third, 'cache', 'clear')).out).toContain('removed 2 files')
  expect(await readdir(cache)).toEqual(['other'])
})

describe('stores nothing', () => {
  test.each([['--no-cache'], ['--cache-size', '0'], ['--cache-size', '1KiB']])('with %s %s', async (...options) => {
    await using registry = await startFakeRegistry([{ path: 'a', bytes }])
    await pull(registry, 'one', ...options)
    await expect(stat(entryOf(bytes))).rejects.toThrow('ENOENT')
    expect((await stat(join(directory, 'one/a'))).mode & 0o200).toBe(0o200)
  })

  test('in a directory that other users own or can write to', async (context) => {
    await using registry = await startFakeRegistry([{ path: 'a', bytes }])
    await mkdir(join(cache, 'blobs'), { recursive: true })
    await chmod(join(cache, 'blobs'), 0o777)
    const open = await run(registry, 'pull', 'vad:1', join(directory, 'one'))
    expect(open).toMatchObject({ code: 0, err: expect.stringContaining('writable by other users') as string })
    if (process.getuid?.() !== 0) return context.skip('only root can give a directory away')
    await chmod(join(cache, 'blobs'), 0o700)
    await chown(join(cache, 'blobs'), 12345, 12345)
    const foreign = await run(registry, 'pull', 'vad:1', join(directory, 'two'))
    expect(foreign).toMatchObject({ code: 0, err: expect.stringContaining('another user') as string })
    expect(await readdir(join(cache, 'blobs'))).toEqual([])
  })
})

test('concurrent pulls share the cache', async () => {
  await using registry = await startFakeRegistry([
    { path: 'a', bytes },
    { path: 'same', bytes },
  ])
  await Promise.all(['one', 'two', 'three'].map((name) => pull(registry, name)))
  for (const name of ['one', 'two', 'three']) {
    expect((await readFile(join(directory, name, 'a'))).equals(bytes)).toBe(true)
    expect((await readFile(join(directory, name, 'same'))).equals(bytes)).toBe(true)
  }
  expect(await readdir(join(cache, 'blobs', 'drafts'))).toEqual([])
})

test('never writes to a cached file that a killed pull had linked', async () => {
  await using registry = await startFakeRegistry([{ path: 'a', bytes }])
  const other = randomBytes(SIZE)
  const partial = join(directory, `one.modelkeep-partial-${registry.digest.slice(7, 23)}`)
  await mkdir(partial, { mode: 0o700 })
  await writeFile(join(directory, 'entry'), other)
  await link(join(directory, 'entry'), join(partial, 'a'))
  await pull(registry, 'one', '--no-cache')
  expect((await readFile(join(directory, 'one/a'))).equals(bytes)).toBe(true)
  expect((await readFile(join(directory, 'entry'))).equals(other)).toBe(true)
})
