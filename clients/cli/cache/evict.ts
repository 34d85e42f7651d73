// The entries of the cache, and their eviction.
import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** The age from which a draft counts as left by a killed process. */
const DRAFT_MS = 24 * 60 * 60 * 1000

interface Entry {
  path: string
  size: number
  usedMs: number
}

export async function listEntries(root: string, folder: 'sha256' | 'drafts' = 'sha256'): Promise<Entry[]> {
  const top = join(root, folder)
  const names = await readdir(top, { recursive: true, withFileTypes: true }).catch(() => [])
  const found = await Promise.all(
    names
      .filter((name) => name.isFile())
      .map(async (name) => {
        const path = join(name.parentPath, name.name)
        return lstat(path).then(
          ({ size, atimeMs }) => [{ path, size, usedMs: atimeMs }],
          () => [],
        )
      }),
  )
  return found.flat()
}

export async function evict(root: string, maxBytes: number): Promise<void> {
  for (const { path, usedMs } of await listEntries(root, 'drafts')) {
    if (Date.now() - usedMs > DRAFT_MS) await rm(path, { force: true })
  }
  const entries = (await listEntries(root)).sort((left, right) => left.usedMs - right.usedMs)
  let total = entries.reduce((sum, { size }) => sum + size, 0)
  for (const { path, size } of entries) {
    if (total <= maxBytes) return
    await rm(path, { force: true })
    total -= size
  }
}
