// The bytes of a part while they come in. Whoever stores or hashes them need not wait for the last: their number and their
// digest were announced before the first.
import { PieceList } from '#lib/byte-streams/piece-list.ts'
import { KEPT_BYTES } from './part-buffer.ts'

/** Fewer are no news to those who wait: to pass on each block by itself costs the service 7 % more. */
const TOLD_BYTES = 512 * 1024

/** All chunks, as they come. Rejects where no more will. */
export async function* follow(part: Followed): AsyncGenerator<Uint8Array> {
  let next = 0
  do for (; next < part.chunks.length; next += 1) yield part.chunks[next]!
  while (await part.more?.(next))
}

interface Followed {
  chunks: Uint8Array[]
  more?(count: number): Promise<boolean>
}

export class ComingPart {
  readonly chunks: Uint8Array[] = []
  readonly length: number
  /** As it was announced: nobody has compared it with the bytes. */
  readonly sha256: Buffer
  readonly #pieces = new PieceList(KEPT_BYTES)
  #received = 0
  /** Bytes since the last news. */
  #untold = 0
  #failure: { reason: unknown } | undefined
  #news = Promise.withResolvers<void>()

  constructor(length: number, sha256: Uint8Array) {
    this.length = length
    this.sha256 = Buffer.from(sha256)
  }

  get received(): number {
    return this.#received
  }

  get isWhole(): boolean {
    return this.#received === this.length
  }

  /** Throws where the part was given up. */
  add(chunk: Uint8Array): void {
    this.requireKept()
    this.#received += chunk.length
    this.#pieces.add(chunk)
    if (this.isWhole) this.#pieces.end()
    const pieces = this.#pieces.takeFull()
    if (pieces.length === 0) return
    this.chunks.push(...pieces)
    this.#untold += pieces.reduce((sum, piece) => sum + piece.length, 0)
    if (this.#untold >= TOLD_BYTES || this.isWhole) this.#tell()
  }

  /** No more will come, or be taken. */
  giveUp(reason: unknown): void {
    this.#failure ??= { reason }
    this.#tell()
  }

  /** Throws where it was given up. */
  requireKept(): void {
    if (this.#failure) throw this.#failure.reason
  }

  /** Waits until there are more than `count` chunks; false where these are all. Rejects where the part was given up. */
  readonly more = async (count: number): Promise<boolean> => {
    while (this.chunks.length <= count && !this.isWhole && !this.#failure) await this.#news.promise
    this.requireKept()
    return this.chunks.length > count
  }

  #tell(): void {
    this.#untold = 0
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }
}
