// The SHA-256 of a blob, computed from its parts while they are received. A part is hashed after all parts before it, and
// waits for those that are being received. When a part before it is missing, it is left out together with all that follow,
// and none of its bytes stay in memory for it.
import { createHash, type Hash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import type { Part } from './part.ts'

export interface Prefix {
  /** The state of the hash after the first parts; later parts can be added to it. */
  hash: Hash
  /** The SHA-256 of each of the first parts. */
  sha256s: Buffer[]
}

/** How long a stored part waits for slow ones before it: longer than this, reading it back from the store is faster. */
const MAX_WAIT_MS = 10_000
/** Hashing yields to other work after this many bytes. */
const BYTES_PER_TURN = 4 * 1024 * 1024

export class RunningDigest {
  /** Hash of the parts that `#sha256s` names. */
  #hash = createHash('sha256')
  readonly #sha256s: Buffer[] = []
  readonly #offered = new Map<number, Part>()
  #current: Part | undefined
  #hashing: Promise<void> = Promise.resolve()
  #busy = false

  /** Adds a part. Before its memory is recycled, call the returned function with whether the part is stored; it waits until
   * the digest no longer reads the part. */
  add(number: number, part: Part): (isStored: boolean) => Promise<void> {
    if (number > this.#sha256s.length) this.#offered.set(number, part)
    if (!this.#busy) void this.#hashAll()
    return async (isStored) => {
      if (isStored) await this.#wait(number, part)
      if (this.#offered.get(number) === part) this.#offered.delete(number)
      if (this.#current === part) await this.#hashing
    }
  }

  async #wait(number: number, part: Part): Promise<void> {
    const timeout = Promise.withResolvers<'timeout'>()
    const timer = setTimeout(() => timeout.resolve('timeout'), MAX_WAIT_MS)
    while (this.#offered.get(number) === part && this.#reaches(number)) {
      if ((await Promise.race([this.#hashing, timeout.promise])) === 'timeout') break
    }
    clearTimeout(timer)
  }

  /** Whether every part before it has been hashed or is being received. */
  #reaches(number: number): boolean {
    for (let before = this.#sha256s.length + (this.#current ? 2 : 1); before < number; before += 1) {
      if (!this.#offered.has(before)) return false
    }
    return this.#busy
  }

  /** The digest of the parts that have been hashed. */
  prefix(): Prefix {
    return { hash: this.#hash.copy(), sha256s: [...this.#sha256s] }
  }

  async #hashAll(): Promise<void> {
    this.#busy = true
    for (let next = this.#nextPart(); next; next = this.#nextPart()) {
      this.#hashing = this.#hashPart(next)
      await this.#hashing
    }
    this.#busy = false
  }

  #nextPart(): Part | undefined {
    const number = this.#sha256s.length + 1
    const part = this.#offered.get(number)
    this.#offered.delete(number)
    return part
  }

  async #hashPart(part: Part): Promise<void> {
    this.#current = part
    const hash = this.#hash.copy()
    try {
      await updateHash(hash, part)
      this.#hash = hash
      this.#sha256s.push(part.sha256)
    } catch {
      // The part was aborted. The client may send it again.
    }
    this.#current = undefined
  }
}

async function updateHash(hash: Hash, part: Part): Promise<void> {
  let bytes = 0
  for await (const chunk of part.read()) {
    for (const piece of chunk.pieces) {
      hash.update(piece)
      bytes += piece.length
      if (bytes < BYTES_PER_TURN) continue
      bytes = 0
      await turn()
    }
  }
}

/** The running digests of this process, by upload id. At the limit, the least recently used one is evicted. */
export class RunningDigests {
  readonly #limit: number
  readonly #digests = new Map<string, RunningDigest>()

  constructor(limit: number) {
    this.#limit = limit
  }

  open(upload: string): RunningDigest {
    const digest = this.#digests.get(upload) ?? new RunningDigest()
    this.#digests.delete(upload)
    this.#digests.set(upload, digest)
    if (this.#digests.size > this.#limit) this.#digests.delete(this.#digests.keys().next().value!)
    return digest
  }

  find(upload: string): RunningDigest | undefined {
    return this.#digests.get(upload)
  }

  forget(upload: string): void {
    this.#digests.delete(upload)
  }
}
