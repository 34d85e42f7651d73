// Reading objects over connections that are kept.
import { ObjectConnection } from './s3-connection.ts'
import { presign, type Signer } from './s3-presign.ts'

const MAX_CONNECTIONS = 128
const MAX_IDLE = 16
const SIGNED_SECONDS = 900

export class S3Objects {
  readonly #signer: Signer
  readonly #silenceMs: number
  readonly #all = new Set<ObjectConnection>()
  readonly #idle: ObjectConnection[] = []

  /** `signer.endpoint`: `http://host:port`. */
  constructor(signer: Signer, silenceMs: number) {
    this.#signer = { ...signer, endpoint: new URL(signer.endpoint).origin }
    this.#silenceMs = silenceMs
  }

  /** `length` bytes of an object. Undefined where the server answers in another way, or over as many connections as there
   * may be: then the general client has to ask. */
  async open(
    place: { bucket: string; key: string },
    offset: number,
    length: number,
    signal?: AbortSignal,
  ): Promise<AsyncGenerator<Buffer> | undefined> {
    const { endpoint } = this.#signer
    if (!endpoint.startsWith('http:') || length === 0) return undefined
    const path = `/${place.bucket}/${place.key}`
    const url = presign(this.#signer, { method: 'GET', path, seconds: SIGNED_SECONDS, now: new Date() })
    const asked = { path: url.slice(endpoint.length), host: new URL(endpoint).host, offset, length }
    for (;;) {
      const connection = this.#take()
      if (!connection) return undefined
      const isOld = connection.used > 0
      const stop = (): void => connection.destroy()
      signal?.addEventListener('abort', stop, { once: true })
      try {
        if (await connection.ask(asked)) return this.#read(connection, () => signal?.removeEventListener('abort', stop))
        signal?.removeEventListener('abort', stop)
        return undefined
      } catch (error) {
        signal?.removeEventListener('abort', stop)
        signal?.throwIfAborted()
        // The server may close what it has not used for long.
        if (!isOld) throw error
      }
    }
  }

  close(): void {
    for (const connection of this.#all) connection.destroy()
  }

  #take(): ObjectConnection | undefined {
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) if (idle.isIdle) return idle
    if (this.#all.size >= MAX_CONNECTIONS) return undefined
    const { hostname, port } = new URL(this.#signer.endpoint)
    const onClose = (): void => void this.#all.delete(connection)
    const connection = new ObjectConnection({ host: hostname, port: Number(port || 80) }, this.#silenceMs, onClose)
    this.#all.add(connection)
    return connection
  }

  async *#read(connection: ObjectConnection, release: () => void): AsyncGenerator<Buffer> {
    try {
      for (let bytes = await connection.next(); bytes; bytes = await connection.next()) yield bytes
    } finally {
      release()
      if (connection.isIdle && this.#idle.length < MAX_IDLE) this.#idle.push(connection)
      else connection.destroy()
    }
  }
}
