// One HTTP/1.1 connection to the S3 server, over TCP or TLS, for the bytes of objects: one request at a time. It reads
// bodies from the socket into blocks that are recycled. An HTTP library copies each 64 KiB of a body into new memory,
// which costs four times the CPU time of a download.
import type { Socket } from 'node:net'
import type { Chunk } from '#lib/byte-streams/chunk.ts'
import { lend, seal, takeBlock } from '#lib/byte-streams/blocks.ts'
import type { Part } from '../../domain/part.ts'
import { connectionLost, errorOfResponse, storeTimeout, unexpectedResponse } from './faults.ts'
import { HEAD_END, parseHead, type Head } from './head.ts'
import { openSocket, writePieces, type Address } from './socket.ts'

/** Blocks that may wait for their reader before the socket is paused. */
const MAX_READY = 4
/** A refusal longer than this is not read to its end. */
const MAX_REFUSAL_BYTES = 16 * 1024

export interface Exchange {
  /** The request line and the headers, with the empty line after them. */
  head: string
  body?: Part
  /** The length of the answer's body; undefined where the answer is not the expected one, and the exchange fails. */
  accept(head: Head): number | undefined
}

interface Refusal {
  head: Head
  text: string
}

export class Connection {
  readonly #socket: Socket
  readonly #silenceMs: number
  #block = takeBlock()
  /** The bytes of the block from `#start` to `#used` are received and not yet returned. */
  #start = 0
  #used = 0
  #ready: Buffer[] = []
  #state: 'idle' | 'head' | 'body' = 'idle'
  #exchange: Exchange | undefined
  #head: Head | undefined
  /** Bytes of the body that are still to be received. */
  #left = 0
  #refusal: Refusal | undefined
  #isSending = false
  /** While this side has paused the exchange, a silent server is not a failure. */
  #isPaused = false
  #failure: Error | undefined
  #wake = (): void => {}
  #onDrain = (): void => {}
  /** Number of requests sent. */
  used = 0

  constructor(address: Address, silenceMs: number, onClose: () => void) {
    this.#silenceMs = silenceMs
    this.#socket = openSocket(address, {
      buffer: () => this.#block.subarray(this.#used),
      callback: (count) => this.#onRead(count),
    })
    this.#socket.setTimeout(silenceMs, () => this.#onSilence())
    this.#socket.on('drain', () => this.#onDrain())
    this.#socket.on('error', (error) => this.#fail(error)).on('end', () => this.#onEnd())
    this.#socket.once('close', () => {
      this.#fail(connectionLost())
      onClose()
    })
    this.#socket.resume()
  }

  get isIdle(): boolean {
    return this.#state === 'idle' && !this.#failure
  }

  /** Sends a request and resolves with the head of its answer; `next` reads the body. Throws the server's refusal. */
  async send(exchange: Exchange): Promise<Head> {
    // An earlier reader may have left before the end.
    this.#ready = []
    this.#exchange = exchange
    this.#head = undefined
    this.#state = 'head'
    this.#refusal = undefined
    this.used += 1
    this.#socket.ref()
    this.#resume()
    this.#write(exchange).catch((error: Error) => this.destroy(error))
    while (!this.#head && !this.#failure) await this.#waitForChange()
    if (!this.#head) throw this.#failure
    return this.#head
  }

  /** The next bytes of the body; undefined after the last. */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const bytes = this.#ready.shift()
      if (bytes) {
        this.#resumeReading()
        return bytes
      }
      if (this.#state === 'idle') return undefined
      if (this.#failure) throw this.#failure
      await this.#waitForChange()
    }
  }

  destroy(reason: Error = connectionLost()): void {
    this.#fail(reason)
    this.#socket.destroy()
  }

  /** Sends the head and the bytes that have arrived in one write, and waits while the socket is full or bytes are missing. */
  async #write({ head, body }: Exchange): Promise<void> {
    const socket = this.#socket
    this.#isSending = true
    socket.cork()
    socket.write(head, 'latin1')
    if (body?.received === 0) socket.uncork()
    if (body && !(await this.#writeBody(body.read()))) return
    socket.uncork()
    this.#isSending = false
  }

  /** False if the server answered before it had the whole body. */
  async #writeBody(chunks: AsyncGenerator<Chunk>): Promise<boolean> {
    for (;;) {
      const next = await this.#waitFor(chunks.next())
      if (this.#failure || this.#state !== 'head') return false
      if (next.done) return true
      await writePieces(this.#socket, next.value.pieces, () => this.#drained())
    }
  }

  async #waitFor<T>(arrival: Promise<T>): Promise<T> {
    this.#isPaused = true
    const arrived = await arrival
    this.#resume()
    return arrived
  }

  #drained(): Promise<void> {
    if (this.#failure || !this.#socket.writableNeedDrain) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onDrain = resolve
    })
  }

  #onRead(count: number): boolean {
    this.#used += count
    if (this.#state === 'idle') this.destroy()
    else if (this.#refusal) this.#readRefusal(this.#refusal)
    else if (this.#state === 'head') this.#readHead()
    else this.#readBody(count)
    return this.#state !== 'body' || !this.#isPaused
  }

  #readHead(): void {
    const end = this.#block.subarray(0, this.#used).indexOf(HEAD_END)
    if (end < 0) {
      if (this.#used === this.#block.length) this.destroy()
      return
    }
    const head = parseHead(this.#block.toString('latin1', 0, end))
    this.#start = end + HEAD_END.length
    const length = this.#exchange!.accept(head)
    if (length === undefined && head.status < 300) return this.destroy(unexpectedResponse(head.status))
    if (length === undefined) return this.#readRefusal((this.#refusal = { head, text: '' }))
    // Bytes that are neither read nor sent would be taken for those of another exchange.
    const isWhole = head.headers.get('content-length') === String(length) && !this.#isSending
    this.#head = { ...head, isKeptAlive: head.isKeptAlive && isWhole }
    this.#state = 'body'
    this.#left = length
    this.#wake()
    this.#readBody(this.#used - this.#start)
  }

  #readBody(count: number): void {
    if (this.#failure) return
    this.#left -= count
    if (this.#left < 0) return this.destroy()
    if (this.#left > 0 && this.#used < this.#block.length) return
    if (this.#used > this.#start) {
      this.#ready.push(lend(this.#block, this.#start, this.#used))
      seal(this.#block)
      this.#block = takeBlock()
    }
    this.#start = this.#used = 0
    if (this.#left === 0) this.#finish()
    else this.#isPaused = this.#ready.length >= MAX_READY
    this.#wake()
  }

  /** All bytes received from here on belong to the response to the next request. */
  #finish(): void {
    this.#state = 'idle'
    this.#start = this.#used = 0
    this.#socket.setTimeout(0)
    this.#socket.unref()
    if (!this.#head?.isKeptAlive) this.destroy()
  }

  /** Reads the reason of a refusal. The connection is not used again. */
  #readRefusal(refusal: Refusal): void {
    refusal.text += this.#block.toString('latin1', this.#start, this.#used)
    this.#start = this.#used = 0
    const isLong = refusal.text.length > MAX_REFUSAL_BYTES
    if (
      isLong ||
      String(refusal.text.length) === refusal.head.headers.get('content-length') ||
      refusal.text.includes('</Error>')
    )
      this.#onEnd()
  }

  #onEnd(): void {
    this.destroy(this.#refusal ? errorOfResponse(this.#refusal.head.status, this.#refusal.text) : connectionLost())
  }

  #resumeReading(): void {
    if (this.#isPaused && this.#ready.length < MAX_READY / 2) this.#resume()
  }

  #resume(): void {
    this.#isPaused = false
    if (this.#state !== 'idle') this.#socket.setTimeout(this.#silenceMs)
    this.#socket.resume()
  }

  #onSilence(): void {
    if (!this.#isPaused) this.destroy(storeTimeout())
  }

  #waitForChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #fail(error: Error): void {
    if (this.#failure) return
    this.#failure = error
    this.#wake()
    this.#onDrain()
  }
}
