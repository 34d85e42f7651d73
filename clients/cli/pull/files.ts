// The files of a pull, several at once: from the cache where it has them, else over the line.
import { rm } from 'node:fs/promises'
import type { Cache } from '../cache/cache.ts'
import type { Lanes } from '../transfer/lanes.ts'
import { forEach, Slots } from '../transfer/pool.ts'
import type { Progress } from '../terminal/progress.ts'
import type { Registry } from '../connection/registry.ts'
import { download } from './download.ts'
import type { RemoteFile } from './manifest.ts'
import { openPlaced, placeBelow } from './partial.ts'

const FILES_AT_ONCE = 8
/** Of parts, over all files; a small file is one. */
const PARTS_AT_ONCE = 8

export interface Fetching {
  registry: Registry
  namespace: string
  /** The directory to put them in. */
  root: string
  lanes: Lanes
  cache: Cache | undefined
  progress: Progress
}

export interface Fetched {
  /** Over the line. */
  receivedBytes: number
  cachedBytes: number
}

export async function fetchFiles(fetching: Fetching, files: RemoteFile[]): Promise<Fetched> {
  const { registry, root, cache } = fetching
  const slots = new Slots(PARTS_AT_ONCE)
  const fetched = { receivedBytes: 0, cachedBytes: 0 }
  await forEach(files, FILES_AT_ONCE, registry.signal, async (file, signal) => {
    const path = await placeBelow(root, file.path)
    if (cache && (await takeCached(cache, path, file, { ...fetching, registry: { ...registry, signal } }))) {
      fetched.cachedBytes += file.size
      return
    }
    const count = await fetchFile({ ...fetching, registry: { ...registry, signal } }, slots, path, file)
    fetched.receivedBytes += count
    await cache?.keep(file, path)
  })
  return fetched
}

async function fetchFile(fetching: Fetching, slots: Slots, path: string, file: RemoteFile): Promise<number> {
  await using handle = await openPlaced(path)
  // Awaited here, because the handle is closed after it.
  return await download({ ...fetching, slots, file, handle })
}

async function takeCached(cache: Cache, path: string, file: RemoteFile, fetching: Fetching): Promise<boolean> {
  if (!(await cache.has(file))) return false
  const { progress, registry } = fetching
  await rm(path, { force: true })
  progress.begin(file.path, file.size)
  const taken = await cache.take(file, path, (count) => progress.advance(file.path, count), registry.signal)
  progress.end(file.path)
  return taken
}
