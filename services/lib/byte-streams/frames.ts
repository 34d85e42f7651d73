// gRPC's framing: 5 bytes of envelope before each message. A message that is one chunk and nothing else is read into pieces
// and written from them, without joining them; every other message is left to the general codec.
import { Code, ConnectError } from '@connectrpc/connect'
import { recycle } from './blocks.ts'
import { Chunk } from './chunk.ts'
import { PieceList } from './piece-list.ts'

/** A field of type `bytes`. Alone in a message, it becomes a `Chunk` of the buffers that the socket delivered. */
export interface ChunkField {
  /** 1 to 15. */
  number: number
  /** Longer chunks are left to the general codec. */
  maxBytes: number
}

export type Frame = { kind: 'chunk'; chunk: Chunk } | { kind: 'message'; bytes: Uint8Array }

const ENVELOPE_BYTES = 5
const COMPRESSED = 1
const LENGTH_DELIMITED = 2
/** Bytes of a chunk's length: 28 bits are more than any message has. */
const MAX_VARINT_BYTES = 4

export class FrameReader {
  readonly #maxBytes: number
  readonly #chunk: ChunkField | undefined
  /** Envelope, tag and length of the current message; a buffer may end within them. */
  readonly #head = Buffer.alloc(ENVELOPE_BYTES + 1 + MAX_VARINT_BYTES)
  #headUsed = 0
  #kind: Frame['kind'] | undefined
  readonly #pieces: PieceList
  /** Bytes of the current message that have not arrived. */
  #left = 0

  /** `minViewBytes`: see `PieceList`. */
  constructor(maxBytes: number, chunk?: ChunkField, minViewBytes?: number) {
    this.#maxBytes = maxBytes
    this.#chunk = chunk
    this.#pieces = new PieceList(minViewBytes)
  }

  /** Adds to `frames` those that `bytes` complete. Throws a `ConnectError` when the stream cannot be parsed. */
  read(bytes: Uint8Array, frames: Frame[]): void {
    for (let rest = bytes; rest.length > 0;) {
      if (this.#kind === undefined) {
        rest = this.#readHead(rest)
      } else {
        const piece = rest.subarray(0, this.#left)
        this.#pieces.add(piece)
        this.#left -= piece.length
        rest = rest.subarray(piece.length)
      }
      if (this.#kind !== undefined && this.#left === 0) frames.push(this.#finish(this.#kind))
    }
  }

  /** Throws a `ConnectError` when the stream ended within a frame. */
  end(): undefined {
    this.#pieces.end()
    if (this.#headUsed > 0) throw new ConnectError('protocol error: incomplete envelope', Code.InvalidArgument)
  }

  #readHead(bytes: Uint8Array): Uint8Array {
    let at = 0
    while (at < bytes.length && this.#kind === undefined) {
      this.#head[this.#headUsed] = bytes[at]!
      this.#headUsed += 1
      at += 1
      if (this.#headUsed >= ENVELOPE_BYTES) this.#begin()
    }
    return bytes.subarray(at)
  }

  /** Determines the kind of the message as soon as the head has enough bytes. */
  #begin(): void {
    const length = this.#head.readUInt32BE(1)
    const prefix = this.#headUsed - ENVELOPE_BYTES
    if (prefix === 0) this.#checkEnvelope(length)
    const chunk = prefix === length ? undefined : this.#findChunk(prefix)
    if (chunk === 'unknown') return
    const isChunk = chunk !== undefined && chunk > 0 && prefix + chunk === length && chunk <= this.#chunk!.maxBytes
    this.#kind = isChunk ? 'chunk' : 'message'
    this.#left = length - prefix
    if (!isChunk) this.#pieces.add(Uint8Array.from(this.#head.subarray(ENVELOPE_BYTES, this.#headUsed)))
  }

  #checkEnvelope(length: number): void {
    if (length > this.#maxBytes) {
      const message = `message size ${length} is larger than configured readMaxBytes ${this.#maxBytes}`
      throw new ConnectError(message, Code.ResourceExhausted)
    }
    if ((this.#head[0]! & COMPRESSED) === 0) return
    throw new ConnectError('received compressed envelope, but do not know how to decompress', Code.Internal)
  }

  /** The length of the chunk; undefined when the message begins with another field. */
  #findChunk(prefix: number): number | 'unknown' | undefined {
    if (this.#chunk === undefined) return undefined
    if (prefix === 0) return 'unknown'
    if (this.#head[ENVELOPE_BYTES] !== tagOf(this.#chunk)) return undefined
    if (prefix === 1) return 'unknown'
    if (this.#head[this.#headUsed - 1]! >= 0x80) return prefix > MAX_VARINT_BYTES ? undefined : 'unknown'
    let length = 0
    for (let at = prefix - 1; at >= 1; at -= 1) length = length * 0x80 + (this.#head[ENVELOPE_BYTES + at]! & 0x7f)
    return length
  }

  #finish(kind: Frame['kind']): Frame {
    this.#kind = undefined
    this.#headUsed = 0
    const pieces = this.#pieces.take()
    if (kind === 'chunk') return { kind, chunk: new Chunk(pieces) }
    const bytes = Buffer.concat(pieces)
    pieces.forEach(recycle)
    return { kind, bytes }
  }
}

/** The buffers of a frame whose message is one chunk. */
export function frameChunk(field: ChunkField, pieces: readonly Uint8Array[]): Uint8Array[] {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const prefix = [tagOf(field)]
  let rest = length
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) prefix.push((rest % 0x80) + 0x80)
  prefix.push(rest)
  const head = Buffer.alloc(ENVELOPE_BYTES + prefix.length)
  head.writeUInt32BE(prefix.length + length, 1)
  head.set(prefix, ENVELOPE_BYTES)
  return [head, ...pieces]
}

export function frameMessage(bytes: Uint8Array): Uint8Array[] {
  const head = Buffer.alloc(ENVELOPE_BYTES)
  head.writeUInt32BE(bytes.length, 1)
  return bytes.length === 0 ? [head] : [head, bytes]
}

function tagOf({ number }: ChunkField): number {
  return (number << 3) | LENGTH_DELIMITED
}
