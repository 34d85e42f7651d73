// Reading objects over connections that are kept.
import { ObjectConnection } from './connection.ts'
import { ConnectionPool } from './pool.ts'
import { presign } from './presign.ts'
import type { Signer } from './signature.ts'

const SIGNED_SECONDS = 900

export class S3Objects {
  readonly #signer: Signer
  readonly #pool: ConnectionPool<ObjectConnection>

  /** `signer.endpoint`: `http://host:port`. */
  constructor(signer: Signer, silenceMs: number) {
    const { origin, hostname: host, port } = new URL(signer.endpoint)
    this.#signer = { ...signer, endpoint: origin }
    this.#pool = new ConnectionPool(
      (onClose) => new ObjectConnection({ host, port: Number(port || 80) }, silenceMs, onClose),
    )
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
      const connection = this.#pool.take()
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
    this.#pool.close()
  }

  async *#read(connection: ObjectConnection, release: () => void): AsyncGenerator<Buffer> {
    try {
      for (let bytes = await connection.next(); bytes; bytes = await connection.next()) yield bytes
    } finally {
      release()
      this.#pool.giveBack(connection)
    }
  }
}
