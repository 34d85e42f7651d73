// Fetches the files of a pull concurrently, from the cache or else from the registry.
import { rm } from 'node:fs/promises'
import type { Cache } from '../cache/cache.ts'
import type { ModeSelector } from '../transfer/mode-selector.ts'
import { forEach, Semaphore } from '../transfer/concurrency.ts'
import type { Progress } from '../terminal/progress.ts'
import type { Registry } from '../connection/registry.ts'
import { download } from './download.ts'
import type { RemoteFile } from './manifest.ts'
import { openPartialFile, preparePath } from './partial.ts'

const FILES_AT_ONCE = 8
/** Maximum number of parts in flight, of all files; a small file is one part. */
const PARTS_AT_ONCE = 8

export interface Fetching {
  registry: Registry
  namespace: string
  /** The directory for the files. */
  root: string
  modes: ModeSelector
  cache: Cache | undefined
  progress: Progress
}

export interface Fetched {
  /** Bytes that were downloaded. */
  receivedBytes: number
  cachedBytes: number
}

export async function fetchFiles(fetching: Fetching, files: RemoteFile[]): Promise<Fetched> {
  const { registry, root, cache } = fetching
  const slots = new Semaphore(PARTS_AT_ONCE)
  const prepared = new Set<string>()
  const fetched = { receivedBytes: 0, cachedBytes: 0 }
  await forEach(files, FILES_AT_ONCE, registry.signal, async (file, signal) => {
    const path = await preparePath(root, file.path, prepared)
    if (cache && (await restoreCached(cache, path, file, { ...fetching, registry: { ...registry, signal } }))) {
      fetched.cachedBytes += file.size
      return
    }
    const count = await fetchFile({ ...fetching, registry: { ...registry, signal } }, slots, path, file)
    fetched.receivedBytes += count
    await cache?.store(file, path)
  })
  return fetched
}

async function fetchFile(fetching: Fetching, slots: Semaphore, path: string, file: RemoteFile): Promise<number> {
  await using handle = await openPartialFile(path)
  // The await keeps the handle open until the download has ended.
  return await download({ ...fetching, slots, file, handle })
}

async function restoreCached(cache: Cache, path: string, file: RemoteFile, fetching: Fetching): Promise<boolean> {
  if (!(await cache.has(file))) return false
  const { progress, registry } = fetching
  await rm(path, { force: true })
  progress.begin(file.path, file.size)
  const isRestored = await cache.restore(file, path, (count) => progress.advance(file.path, count), registry.signal)
  progress.end(file.path)
  return isRestored
}
