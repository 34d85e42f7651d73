// Objects as files below one directory, for one process on one machine. An unfinished object is one file that its
// parts are written into; it becomes an object by a rename, after its bytes are safe on the disk.
import { constants, type Stats } from 'node:fs'
import { access, lstat, mkdir, open, readdir, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Part } from '../../domain/part.ts'
import {
  ByteStoreError,
  checkObjectKey,
  codeOf,
  isObjectKey,
  MARKS,
  markOf,
  notMarked,
  storeFull,
  storeUnavailable,
  verifyPart,
  type ByteStore,
  type ListedObject,
  type ListedUpload,
  type PartPlace,
  type StoredPart,
} from '../byte-store.ts'

/** The read size, just below a power of two, so that one read fits into one message. */
const READ_BYTES = 1024 * 1024 - 64
/** The only id: every key has at most one unfinished object. */
const UPLOAD_ID = 'unfinished'
const ABSENT = ['ENOENT', 'ENOTDIR']
const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG']

export class DirectoryStore implements ByteStore {
  readonly #root: string
  /** The last operation on each key. Operations on a key run one by one, so that no late part reaches a whole object. */
  readonly #last = new Map<string, Promise<unknown>>()

  constructor(root: string) {
    this.#root = root
  }

  begin(key: string): Promise<string> {
    return this.#runInTurn(key, async () => {
      const path = this.#unfinished(key)
      await this.#makeFolder(dirname(path))
      await (await open(path, 'a')).close()
      return UPLOAD_ID
    })
  }

  async putPart({ key, offset }: PartPlace, part: Part): Promise<string> {
    await verifyPart(part)
    const { pieces } = await part.readAll()
    return this.#runInTurn(key, async () => {
      const file = await open(this.#unfinished(key), 'r+').catch(throwAs('ENOENT', 'upload gone'))
      await using _closing = file
      await writeAll(file, pieces, offset)
      await file.datasync()
      return part.sha256.toString('hex')
    })
  }

  complete(key: string, _uploadId: string, parts: StoredPart[]): Promise<void> {
    const size = parts.reduce((sum, { length }) => sum + length, 0)
    return this.#runInTurn(key, async () => {
      const file = await open(this.#unfinished(key), 'r+').catch(throwAs('ENOENT', 'upload gone'))
      {
        await using _closing = file
        if ((await file.stat()).size !== size) throw new ByteStoreError('part stale')
        await file.sync()
      }
      await this.#publish(key)
    })
  }

  abort(key: string): Promise<void> {
    return this.#runInTurn(key, () => rm(this.#unfinished(key), { force: true }))
  }

  put(key: string, part: Part): Promise<void> {
    return this.#runInTurn(key, async () => {
      const path = this.#unfinished(key)
      try {
        await this.#makeFolder(dirname(path))
        {
          await using file = await open(path, 'w')
          await writeAll(file, (await part.readAll()).pieces, 0)
          await file.sync()
        }
        await this.#publish(key)
      } catch (error) {
        await rm(path, { force: true })
        throw error
      }
    })
  }

  async *read(key: string, offset: number, length: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    await using file = await open(this.#object(key), 'r').catch(throwAs('ENOENT', 'object gone')).catch(translate)
    const end = offset + length
    for (let position = offset; position < end;) {
      signal?.throwIfAborted()
      const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, end - position))
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position).catch(translate)
      if (bytesRead === 0) return
      position += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }

  stat(key: string): Promise<number | undefined> {
    return stat(this.#object(key)).then(
      ({ size }) => size,
      (error: unknown) => (codeOf(error) === 'ENOENT' ? undefined : translate(error)),
    )
  }

  remove(key: string): Promise<void> {
    return this.#runInTurn(key, () => rm(this.#object(key), { force: true }))
  }

  async mark(installation: string): Promise<void> {
    const path = join(this.#root, markOf(installation))
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await writeFile(path, `${installation}\n`, { flush: true })
    } catch (error) {
      translate(error)
    }
  }

  listMarks(): Promise<string[]> {
    return readNames(join(this.#root, MARKS))
  }

  async *list(): AsyncIterable<ListedObject> {
    for (const folder of await readNames(join(this.#root, 'objects'))) {
      for (const name of await readNames(join(this.#root, 'objects', folder))) {
        const key = `objects/${folder}/${name}`
        const found = isObjectKey(key) && (await statFile(this.#object(key)))
        if (found) yield { key, sizeBytes: found.size, modifyTime: found.mtime }
      }
    }
  }

  async *listUnfinished(): AsyncIterable<ListedUpload> {
    for (const name of await readNames(join(this.#root, 'unfinished'))) {
      const key = `objects/${name.slice(0, 2)}/${name}`
      const found = isObjectKey(key) && (await statFile(this.#unfinished(key)))
      if (found) yield { key, uploadId: UPLOAD_ID, modifyTime: found.mtime }
    }
  }

  async check(installation: string): Promise<void> {
    await access(join(this.#root, markOf(installation))).catch((error: unknown) =>
      translate(ABSENT.includes(codeOf(error)) ? notMarked(this.#root, installation) : error),
    )
    await access(this.#root, constants.R_OK | constants.W_OK | constants.X_OK).catch(translate)
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#last.values())
  }

  async #publish(key: string): Promise<void> {
    const path = this.#object(key)
    await this.#makeFolder(dirname(path))
    await rename(this.#unfinished(key), path)
    await syncDirectory(dirname(path))
    await syncDirectory(dirname(dirname(path)))
  }

  /** Creates a folder below a marked root only. Without a mark, the root may be the empty mount point of the store. */
  async #makeFolder(path: string): Promise<void> {
    await access(join(this.#root, MARKS))
    await mkdir(path, { recursive: true })
  }

  #object(key: string): string {
    return join(this.#root, checkObjectKey(key))
  }

  #unfinished(key: string): string {
    return join(this.#root, 'unfinished', checkObjectKey(key).slice('objects/xx/'.length))
  }

  #runInTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(key) ?? Promise.resolve()).then(work, work)
    this.#last.set(key, turn)
    const leave = (): void => {
      if (this.#last.get(key) === turn) this.#last.delete(key)
    }
    turn.then(leave, leave)
    return turn.catch(translate)
  }
}

async function readNames(path: string): Promise<string[]> {
  return readdir(path).catch((error: unknown) => (ABSENT.includes(codeOf(error)) ? [] : translate(error)))
}

/** Undefined where there is no file, or none any more. */
async function statFile(path: string): Promise<Stats | undefined> {
  const found = await lstat(path).catch((error: unknown) => {
    if (!ABSENT.includes(codeOf(error))) translate(error)
  })
  return found?.isFile() ? found : undefined
}

async function writeAll(file: FileHandle, pieces: readonly Uint8Array[], offset: number): Promise<void> {
  let position = offset
  for (const piece of pieces) {
    for (let written = 0; written < piece.length;) {
      const { bytesWritten } = await file.write(piece, written, piece.length - written, position)
      written += bytesWritten
      position += bytesWritten
    }
  }
}

/** Makes a rename survive a loss of power. */
async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r')
  await directory.sync()
}

function throwAs(code: string, problem: ByteStoreError['problem']): (error: unknown) => never {
  return (error) => {
    throw codeOf(error) === code ? new ByteStoreError(problem, { cause: error }) : error
  }
}

function translate(error: unknown): never {
  if (error instanceof ByteStoreError) throw error
  if (FULL.includes(codeOf(error))) throw storeFull(error)
  throw storeUnavailable(error)
}
