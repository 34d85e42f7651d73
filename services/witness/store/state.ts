// The largest checkpoint that the witness has cosigned of each log. Each log has a directory with one numbered file. To
// advance, a process creates the file with the next number, which only one of several processes can do.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createDurably, makeDirectoryDurably } from '#lib/process/durable.ts'
import { findCheckpoint, splitNote, type Checkpoint } from '#lib/tlog/note.ts'

export interface CosignedState {
  /** Number of the file; 0 where nothing was cosigned yet. */
  generation: number
  /** The cosigned checkpoint with the signatures of log and witness. */
  note: string | undefined
  checkpoint: Pick<Checkpoint, 'size' | 'root'> | undefined
}

const NUMBER = /^[0-9]{16}$/
/** Age from which a half-written file is a leftover of a killed process. */
const LEFTOVER_MS = 60_000

export class StateDirectory {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
    makeDirectoryDurably(path)
  }

  /** Throws where the state cannot be read or is not a checkpoint of this log: nothing may be cosigned then. */
  read(origin: string): CosignedState {
    const directory = join(this.#path, hashOrigin(origin))
    // Another process may advance and remove the file between listing and reading.
    for (let attempt = 1; ; attempt += 1) {
      const generation = newestOf(directory)
      if (generation === 0) return { generation, note: undefined, checkpoint: undefined }
      try {
        const note = readFileSync(join(directory, fileName(generation)), 'utf8')
        const checkpoint = findCheckpoint(splitNote(note)?.text ?? '')
        if (checkpoint?.origin !== origin)
          throw new Error(`state directory ${directory} does not contain a checkpoint of ${origin}`)
        return { generation, note, checkpoint }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === 3) throw error
      }
    }
  }

  /** Stores `note` on disk as the successor of `generation`. Returns false where another process has advanced first. */
  advance(origin: string, generation: number, note: string): boolean {
    const directory = join(this.#path, hashOrigin(origin))
    makeDirectoryDurably(directory)
    const next = generation + 1
    const file = join(directory, fileName(next))
    if (!createDurably(file, note)) return false
    // Other processes may have advanced further and removed the file of this number.
    if (newestOf(directory) !== next) {
      rmSync(file)
      return false
    }
    removeOld(directory, next)
    return true
  }
}

/** Returns the name of a log in paths and URLs: the SHA-256 of its origin in hex. */
export function hashOrigin(origin: string): string {
  return createHash('sha256').update(origin).digest('hex')
}

function fileName(generation: number): string {
  return String(generation).padStart(16, '0')
}

function newestOf(directory: string): number {
  return Math.max(
    0,
    ...list(directory)
      .filter((name) => NUMBER.test(name))
      .map(Number),
  )
}

function removeOld(directory: string, newest: number): void {
  for (const name of list(directory)) {
    const path = join(directory, name)
    const isOld = NUMBER.test(name) ? Number(name) < newest : isLeftover(path)
    if (isOld) rmSync(path, { force: true })
  }
}

function isLeftover(path: string): boolean {
  const since = statSync(path, { throwIfNoEntry: false })?.mtimeMs
  return path.endsWith('.fresh') && since !== undefined && Date.now() - since > LEFTOVER_MS
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
