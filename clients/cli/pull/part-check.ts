// Compares bytes with the digests of their parts as they pass, and goes back to the last good part when one is wrong.
import { createHash, type Hash } from 'node:crypto'
import type { Blob } from '#gen/modelkeep/artifact/v1/blob_pb.ts'
import { distrust, type RemoteFile } from './manifest.ts'

export interface Position {
  offset: number
  /** Of everything before the offset. */
  hash: Hash
}

export class PartCheck {
  readonly #position: Position
  readonly #partSize: number
  readonly #digests: Uint8Array[]
  readonly #size: number
  /** Of the part under way; undefined when its beginning was not seen. */
  #part: Hash | undefined
  #goodHash: Hash
  #goodOffset: number

  /** `position` is moved by `take`. */
  constructor(blob: Blob, file: RemoteFile, position: Position) {
    const partSize = Number(blob.partSizeBytes)
    const count = partSize === 0 ? 0 : Math.ceil(file.size / partSize)
    if (partSize < 0 || (count > 0 && blob.partSha256s.length !== count)) {
      distrust(`the server divides «${file.path}» into parts that do not make the whole`)
    }
    this.#position = position
    this.#partSize = partSize
    this.#digests = count > 0 ? blob.partSha256s : []
    this.#size = file.size
    this.#part = count > 0 && position.offset % partSize === 0 ? createHash('sha256') : undefined
    this.#goodOffset = position.offset
    this.#goodHash = position.hash.copy()
  }

  /** False when a part turned out wrong; the position is then at its beginning. */
  take(bytes: Uint8Array): boolean {
    let rest = bytes
    while (rest.length > 0) {
      const piece = rest.subarray(0, this.#untilBoundary())
      rest = rest.subarray(piece.length)
      this.#position.hash.update(piece)
      this.#part?.update(piece)
      this.#position.offset += piece.length
      if (this.#atBoundary() && !this.#closePart()) return false
    }
    return true
  }

  #untilBoundary(): number {
    if (this.#digests.length === 0) return Infinity
    return this.#partSize - (this.#position.offset % this.#partSize)
  }

  #atBoundary(): boolean {
    const { offset } = this.#position
    return this.#digests.length > 0 && (offset % this.#partSize === 0 || offset === this.#size)
  }

  #closePart(): boolean {
    const { offset } = this.#position
    const expected = this.#digests[Math.ceil(offset / this.#partSize) - 1]!
    if (this.#part && Buffer.compare(this.#part.digest(), expected) !== 0) {
      this.#position.offset = this.#goodOffset
      this.#position.hash = this.#goodHash.copy()
      this.#part = createHash('sha256')
      return false
    }
    this.#part = createHash('sha256')
    this.#goodOffset = offset
    this.#goodHash = this.#position.hash.copy()
    return true
  }
}
