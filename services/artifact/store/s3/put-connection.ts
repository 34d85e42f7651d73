// A connection to the S3 server that whole objects are sent over. Node's own client costs more than all else that is done
// for a small one.
import { connect, type Socket } from 'node:net'
import { HEAD_END, lost, parseHead, type Head } from './head.ts'
import { silence } from './transport.ts'

/** Of an answer: the head, or a refusal with its reason. */
const MAX_ANSWER_BYTES = 16 * 1024

export class PutConnection {
  readonly #socket: Socket
  readonly #silenceMs: number
  #answer = ''
  #head: Head | undefined
  #waiting: PromiseWithResolvers<void> | undefined
  #failure: Error | undefined
  /** Objects that were sent. */
  used = 0

  constructor(address: { host: string; port: number }, silenceMs: number, onClose: () => void) {
    this.#silenceMs = silenceMs
    const buffer = Buffer.allocUnsafeSlow(MAX_ANSWER_BYTES)
    const callback = (count: number): boolean => this.#onRead(buffer.toString('latin1', 0, count))
    this.#socket = connect({ ...address, noDelay: true, onread: { buffer, callback } })
    this.#socket.setTimeout(silenceMs, () => this.destroy(silence()))
    this.#socket.on('error', (error) => this.destroy(error)).on('end', () => this.#onEnd())
    this.#socket.once('close', () => {
      this.destroy()
      onClose()
    })
    this.#socket.resume()
  }

  get isIdle(): boolean {
    return !this.#waiting && !this.#failure
  }

  /** Resolves when the server has stored the object. Throws what it says where it refuses. */
  async send(head: string, pieces: readonly Uint8Array[]): Promise<void> {
    this.#waiting = Promise.withResolvers()
    this.used += 1
    if (this.#failure) this.#settle(this.#failure)
    this.#socket.ref()
    this.#socket.setTimeout(this.#silenceMs)
    this.#socket.cork()
    this.#socket.write(head, 'latin1')
    for (const piece of pieces) this.#socket.write(piece)
    this.#socket.uncork()
    await this.#waiting.promise
  }

  destroy(reason = lost()): void {
    this.#failure ??= reason
    this.#settle(this.#failure)
    this.#socket.destroy()
  }

  #onRead(text: string): boolean {
    this.#answer += text
    if (this.#waiting) this.#look()
    else this.destroy()
    return true
  }

  #look(): void {
    const end = this.#answer.indexOf(HEAD_END)
    if (end >= 0) this.#head ??= parseHead(this.#answer.slice(0, end))
    if (this.#head?.status === 200) return this.#rest(this.#head)
    const isWhole = this.#head?.headers.get('content-length') === String(this.#answer.length - end - HEAD_END.length)
    if (isWhole || this.#answer.includes('</Error>') || this.#answer.length > MAX_ANSWER_BYTES) this.#refuse()
  }

  /** The server's next word is the answer to the next object. */
  #rest({ headers, isKept }: Head): void {
    this.#answer = ''
    this.#head = undefined
    const isReady = isKept && headers.get('content-length') === '0' && this.#socket.writableLength === 0
    this.#socket.setTimeout(0)
    this.#socket.unref()
    this.#settle()
    if (!isReady) this.destroy()
  }

  #refuse(): void {
    const status = this.#head?.status ?? 0
    const [, code = status >= 500 ? 'InternalError' : undefined] = /<Code>(\w{1,64})<\/Code>/.exec(this.#answer) ?? []
    const refusal = new Error(`the store answers with ${status} ${code ?? ''}`.trim())
    this.destroy(Object.assign(refusal, code && { code }))
  }

  #onEnd(): void {
    if (this.#head) this.#refuse()
    else this.destroy()
  }

  #settle(error?: Error): void {
    if (error) this.#waiting?.reject(error)
    else this.#waiting?.resolve()
    this.#waiting = undefined
  }
}
