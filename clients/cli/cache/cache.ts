// Files of earlier pulls, by digest. What is taken from here is hashed each time: a file that shares its bytes with one
// that a user has changed is noticed, thrown away and fetched again.
import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, copyFile, link, lstat, mkdir, open, rename, rm, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { trim } from './trim.ts'

const READ_BYTES = 1024 * 1024
const READ_ONLY = 0o444

export interface CachedFile {
  digest: string
  size: number
}

export class Cache {
  readonly #root: string
  readonly #maxBytes: number

  /** `root`: of this user alone. */
  constructor(root: string, maxBytes: number) {
    this.#root = root
    this.#maxBytes = maxBytes
  }

  /** Whether it is worth a try to take it. */
  has({ digest, size }: CachedFile): Promise<boolean> {
    return lstat(this.#entry(digest)).then(
      (found) => found.isFile() && found.size === size,
      () => false,
    )
  }

  /** Puts a file where nothing is yet. False where the cache has it not, or not any more as it was. */
  async take(file: CachedFile, target: string, onRead: (count: number) => void, signal: AbortSignal): Promise<boolean> {
    const entry = this.#entry(file.digest)
    if (!(await share(entry, target))) return false
    let read = 0
    const count = (bytes: number): void => {
      read += bytes
      onRead(bytes)
    }
    const isRight = await hasDigest(target, file, count, signal)
    if (isRight) {
      // The time of the last use decides which files go first.
      await lstat(entry)
        .then(({ mtime }) => utimes(entry, new Date(), mtime))
        .catch(() => undefined)
      return true
    }
    onRead(-read)
    await Promise.all([rm(target, { force: true }), rm(entry, { force: true })])
    return false
  }

  /** Keeps a file that has been verified. A cache that cannot is no reason for a pull to fail. */
  async keep(file: CachedFile, source: string): Promise<void> {
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

  /** Removes what was not used for longest, until the rest fits. */
  async trim(): Promise<void> {
    await trim(this.#root, this.#maxBytes).catch(() => undefined)
  }

  #entry(digest: string): string {
    const hex = digest.slice('sha256:'.length)
    return join(this.#root, 'sha256', hex.slice(0, 2), hex)
  }
}

/** As a clone where the file system makes such; else under a second name; else as a copy. */
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
