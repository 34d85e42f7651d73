// Eviction from the cache. Pulls through the cache are in test/suite/cli-cache.test.ts.
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Cache } from '../../clients/cli/cache/cache.ts'

const HOUR_MS = 3_600_000
let root: string
let drafts: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'modelkeep-cache-'))
  drafts = join(root, 'drafts')
})
afterEach(() => rm(root, { recursive: true, force: true }))

async function writeDraft(name: string, hoursAgo: number): Promise<void> {
  await mkdir(drafts, { recursive: true })
  await writeFile(join(drafts, name), 'draft')
  const time = new Date(Date.now() - hoursAgo * HOUR_MS)
  await utimes(join(drafts, name), time, time)
}

async function storeFile(cache: Cache, text: string): Promise<string> {
  const hex = createHash('sha256').update(text).digest('hex')
  await writeFile(join(root, 'source'), text)
  await cache.store({ digest: `sha256:${hex}`, size: text.length }, join(root, 'source'))
  return hex
}

const files = async () => (await readdir(join(root, 'sha256'), { recursive: true })).filter((name) => name.length > 2)

test('eviction removes drafts that are older than a day, but no younger ones and no files that fit', async () => {
  const cache = new Cache(root, 1_000)
  const hex = await storeFile(cache, 'kept')
  await writeDraft('killed', 25)
  await writeDraft('killed-too', 900)
  await writeDraft('under-way', 23)
  await cache.evict()
  expect(await readdir(drafts)).toEqual(['under-way'])
  expect(await files()).toEqual([join(hex.slice(0, 2), hex)])
})

test('leaves no draft when a file cannot be stored', async () => {
  const hex = createHash('sha256').update('blocked').digest('hex')
  await mkdir(join(root, 'sha256', hex.slice(0, 2), hex, 'in the way'), { recursive: true })
  await storeFile(new Cache(root, 1_000), 'blocked')
  expect(await readdir(drafts)).toEqual([])
})
