// A connection to the S3 server that reads objects from the socket into blocks. Node's own client copies each 64 KiB of a
// body into new memory, and hands it on through a stream: that was half of a download's CPU time.
import { connect, type Socket } from 'node:net'
import { lend, seal, takeBlock } from '#lib/byte-streams/blocks.ts'
import { HEAD_END, lost, parseHead } from './head.ts'
import { silence } from './transport.ts'

/** What waits for its reader before the socket is read no further. */
const MAX_READY = 4

export interface Asked {
  /** With the signature in the query. */
  path: string
  host: string
  offset: number
  length: number
}

export class ObjectConnection {
  readonly #socket: Socket
  readonly #silenceMs: number
  #block = takeBlock()
  /** Of the block: what is read and not handed out. */
  #start = 0
  #used = 0
  #ready: Buffer[] = []
  /** Bytes of the body that have not been read. */
  #left = 0
  #state: 'idle' | 'head' | 'body' = 'idle'
  #asked: Asked | undefined
  #isPaused = false
  #failure: Error | undefined
  #wake = (): void => {}
  /** Objects that were read. */
  used = 0

  constructor(address: { host: string; port: number }, silenceMs: number, onClose: () => void) {
    this.#silenceMs = silenceMs
    const onread = {
      buffer: () => this.#block.subarray(this.#used),
      callback: (count: number) => this.#onRead(count),
    }
    this.#socket = connect({ ...address, noDelay: true, onread } as never)
    this.#socket.setTimeout(silenceMs, () => this.#onSilence())
    this.#socket.on('error', (error) => this.#fail(error)).on('end', () => this.#fail(lost()))
    this.#socket.once('close', () => {
      this.#fail(lost())
      onClose()
    })
    this.#socket.resume()
  }

  get isIdle(): boolean {
    return this.#state === 'idle' && !this.#failure
  }

  /** Whether the server answers with the bytes that are asked for; if not, the connection is of no more use. */
  async ask(asked: Asked): Promise<boolean> {
    const { path, host, offset, length } = asked
    this.#asked = asked
    // A reader may have left before the end.
    this.#ready = []
    this.#state = 'head'
    this.used += 1
    this.#socket.ref()
    this.#socket.setTimeout(this.#silenceMs)
    this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\nrange: bytes=${offset}-${offset + length - 1}\r\n\r\n`)
    while (this.#state === 'head' && !this.#failure) await this.#news()
    if (this.#state === 'head' && this.#failure) throw this.#failure
    return this.#asked === undefined
  }

  /** The next bytes of the body; undefined after the last. */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const bytes = this.#ready.shift()
      if (bytes) {
        this.#goOn()
        return bytes
      }
      if (this.#state === 'idle') return undefined
      if (this.#failure) throw this.#failure
      await this.#news()
    }
  }

  destroy(reason = lost()): void {
    this.#fail(reason)
    this.#socket.destroy()
  }

  #onRead(count: number): boolean {
    this.#used += count
    if (this.#state === 'idle') this.destroy()
    if (this.#state === 'head') this.#readHead()
    else this.#readBody(count)
    return !this.#isPaused
  }

  #readHead(): void {
    const end = this.#block.subarray(0, this.#used).indexOf(HEAD_END)
    if (end < 0 && this.#used < this.#block.length) return
    if (end < 0 || !isAnswer(this.#block.toString('latin1', 0, end), this.#asked!)) {
      this.#state = 'body'
      return this.destroy()
    }
    this.#state = 'body'
    this.#start = end + HEAD_END.length
    this.#left = this.#asked!.length
    this.#asked = undefined
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
    if (this.#left === 0) this.#rest()
    else this.#isPaused = this.#ready.length >= MAX_READY
    this.#wake()
  }

  /** The server's next word is the answer to the next question. */
  #rest(): void {
    this.#state = 'idle'
    this.#socket.setTimeout(0)
    this.#socket.unref()
  }

  #goOn(): void {
    if (!this.#isPaused || this.#ready.length >= MAX_READY / 2) return
    this.#isPaused = false
    this.#socket.setTimeout(this.#silenceMs)
    this.#socket.resume()
  }

  /** Who takes its time to read hears nothing meanwhile. */
  #onSilence(): void {
    if (!this.#isPaused) this.destroy(silence())
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #fail(error: Error): void {
    if (this.#failure) return
    this.#failure = error
    this.#wake()
  }
}

/** Just these bytes, as they are, and the connection kept. */
function isAnswer(head: string, { offset, length }: Asked): boolean {
  const { status, headers, isKept } = parseHead(head)
  return (
    status === 206 &&
    headers.get('content-length') === String(length) &&
    headers.get('content-range')?.startsWith(`bytes ${offset}-${offset + length - 1}/`) === true &&
    isKept
  )
}
