// The cache of pulled files, by digest. A restored file is hashed each time, because it may share its bytes with a file that
// the user has changed. A changed file is removed and downloaded again.
import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, copyFile, link, lstat, mkdir, open, rename, rm, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { evict } from './evict.ts'

const READ_BYTES = 1024 * 1024
const READ_ONLY = 0o444

export interface CachedFile {
  digest: string
  size: number
}

export class Cache {
  readonly #root: string
  readonly #maxBytes: number

  /** `root`: a directory that only this user can write to. */
  constructor(root: string, maxBytes: number) {
    this.#root = root
    this.#maxBytes = maxBytes
  }

  /** Whether the cache may have the file: the entry exists with the right size. */
  has({ digest, size }: CachedFile): Promise<boolean> {
    return lstat(this.#entry(digest)).then(
      (found) => found.isFile() && found.size === size,
      () => false,
    )
  }

  /** Restores a file to a path that does not exist. Returns false if the cache lacks the file or its bytes have changed. */
  async restore(
    file: CachedFile,
    target: string,
    onRead: (count: number) => void,
    signal: AbortSignal,
  ): Promise<boolean> {
    const entry = this.#entry(file.digest)
    if (!(await share(entry, target))) return false
    let read = 0
    const count = (bytes: number): void => {
      read += bytes
      onRead(bytes)
    }
    const isRight = await hasDigest(target, file, count, signal)
    if (isRight) {
      // The access time decides which files are evicted first.
      await lstat(entry)
        .then(({ mtime }) => utimes(entry, new Date(), mtime))
        .catch(() => undefined)
      return true
    }
    onRead(-read)
    await Promise.all([rm(target, { force: true }), rm(entry, { force: true })])
    return false
  }

  /** Stores a verified file. Failures are ignored, because the pull does not depend on the cache. */
  async store(file: CachedFile, source: string): Promise<void> {
    if (file.size > this.#maxBytes) return
    const entry = this.#entry(file.digest)
    const draft = join(this.#root, 'drafts', randomUUID())
    try {
      await mkdir(dirname(entry), { recursive: true, mode: 0o700 })
      await mkdir(dirname(draft), { recursive: true, mode: 0o700 })
      if (!(await share(source, draft))) return
      await chmod(draft, READ_ONLY)
      await rename(draft, entry)
    } catch {
      await rm(draft, { force: true }).catch(() => undefined)
    }
  }

  /** Removes the least recently used files until the rest fits. */
  async evict(): Promise<void> {
    await evict(this.#root, this.#maxBytes).catch(() => undefined)
  }

  #entry(digest: string): string {
    const hex = digest.slice('sha256:'.length)
    return join(this.#root, 'sha256', hex.slice(0, 2), hex)
  }
}

/** Shares a file by a reflink if the file system supports it, else by a hard link, else by a copy. */
async function share(source: string, target: string): Promise<boolean> {
  const ways = [
    () => copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE),
    () => link(source, target),
    () => copyFile(source, target, constants.COPYFILE_EXCL),
  ]
  for (const way of ways) {
    const done = await way().then(
      () => true,
      () => false,
    )
    if (done) return true
  }
  await rm(target, { force: true })
  return false
}

async function hasDigest(
  path: string,
  { size, digest }: CachedFile,
  onRead: (count: number) => void,
  signal: AbortSignal,
): Promise<boolean> {
  await using handle = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
  const found = await handle.stat()
  if (!found.isFile() || found.size !== size) return false
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(1, size)))
  for (let done = 0; done < size;) {
    signal.throwIfAborted()
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, done)
    if (bytesRead === 0) return false
    hash.update(buffer.subarray(0, bytesRead))
    onRead(bytesRead)
    done += bytesRead
  }
  await handle.sync()
  return `sha256:${hash.digest('hex')}` === digest
}
