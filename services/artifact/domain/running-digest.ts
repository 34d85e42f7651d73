// The SHA-256 of a whole, taken from its parts on their way in. A part is taken once all before it were; it waits for those
// that are on their way, too. Where one before it is not, it is left out with all that follow, and no byte is held for it.
import { createHash, type Hash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { follow } from './coming-part.ts'

export interface PartBytes {
  chunks: Uint8Array[]
  sha256: Buffer
  /** As of a part that is still coming in. */
  more?(count: number): Promise<boolean>
}

export interface Prefix {
  /** Of the first parts; to go on with. */
  hash: Hash
  /** The SHA-256 of each of them. */
  sha256s: Buffer[]
}

/** How long a part waits for those before it, which may be slow to come: to read it back takes less. */
const PATIENCE_MS = 10_000
/** After so many bytes others have their turn. */
const BYTES_A_TURN = 4 * 1024 * 1024

export class RunningDigest {
  /** Of the parts that were taken. */
  #hash = createHash('sha256')
  readonly #sha256s: Buffer[] = []
  readonly #offered = new Map<number, PartBytes>()
  #current: PartBytes | undefined
  #taking: Promise<void> = Promise.resolve()
  #busy = false

  /** Returns what must be called before the bytes may be let go, with whether the store has them. */
  offer(number: number, part: PartBytes): (isStored: boolean) => Promise<void> {
    if (number > this.#sha256s.length) this.#offered.set(number, part)
    if (!this.#busy) void this.#takeAll()
    return async (isStored) => {
      if (isStored) await this.#wait(number, part)
      if (this.#offered.get(number) === part) this.#offered.delete(number)
      if (this.#current === part) await this.#taking
    }
  }

  async #wait(number: number, part: PartBytes): Promise<void> {
    const patience = Promise.withResolvers<'over'>()
    const timer = setTimeout(() => patience.resolve('over'), PATIENCE_MS)
    while (this.#offered.get(number) === part && this.#reaches(number)) {
      if ((await Promise.race([this.#taking, patience.promise])) === 'over') break
    }
    clearTimeout(timer)
  }

  /** Whether all before it are taken or on their way. */
  #reaches(number: number): boolean {
    for (let before = this.#sha256s.length + (this.#current ? 2 : 1); before < number; before += 1) {
      if (!this.#offered.has(before)) return false
    }
    return this.#busy
  }

  /** What was taken, from the first part on. */
  prefix(): Prefix {
    return { hash: this.#hash.copy(), sha256s: [...this.#sha256s] }
  }

  async #takeAll(): Promise<void> {
    this.#busy = true
    for (let next = this.#takeNext(); next; next = this.#takeNext()) {
      this.#taking = this.#take(next)
      await this.#taking
    }
    this.#busy = false
  }

  #takeNext(): PartBytes | undefined {
    const number = this.#sha256s.length + 1
    const part = this.#offered.get(number)
    this.#offered.delete(number)
    return part
  }

  async #take(part: PartBytes): Promise<void> {
    this.#current = part
    const hash = this.#hash.copy()
    try {
      await hashAll(hash, part)
      this.#hash = hash
      this.#sha256s.push(part.sha256)
    } catch {
      // Whoever sends it again has his turn.
    }
    this.#current = undefined
  }
}

async function hashAll(hash: Hash, part: PartBytes): Promise<void> {
  let bytes = 0
  for await (const chunk of follow(part)) {
    hash.update(chunk)
    bytes += chunk.length
    if (bytes < BYTES_A_TURN) continue
    bytes = 0
    await turn()
  }
}

/** The running digests of a process by upload; those that were not used for longest make room for new ones. */
export class RunningDigests {
  readonly #limit: number
  readonly #digests = new Map<string, RunningDigest>()

  constructor(limit: number) {
    this.#limit = limit
  }

  of(upload: string): RunningDigest {
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
