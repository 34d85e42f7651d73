// Sending whole objects over connections that are kept.
import type { Part } from '../../domain/part.ts'
import { ConnectionPool } from './pool.ts'
import { PutConnection } from './put-connection.ts'
import { ALGORITHM, scopeOf, sign, signatureTime, type Signer } from './signature.ts'

const SIGNED_HEADERS = 'host;x-amz-content-sha256;x-amz-date'

export class S3Puts {
  readonly #signer: Signer & { bucket: string }
  readonly #url: URL
  readonly #pool: ConnectionPool<PutConnection>

  /** `signer.endpoint`: `http://host:port`. */
  constructor(signer: Signer & { bucket: string }, silenceMs: number) {
    this.#signer = signer
    this.#url = new URL(signer.endpoint)
    const { hostname: host, port } = this.#url
    this.#pool = new ConnectionPool(
      (onClose) => new PutConnection({ host, port: Number(port || 80) }, silenceMs, onClose),
    )
  }

  /** False where nothing was sent: over TLS, or over as many connections as there may be, the general client has to. */
  async send(key: string, part: Part): Promise<boolean> {
    if (this.#url.protocol !== 'http:') return false
    const { pieces } = await part.readAll()
    for (;;) {
      const connection = this.#pool.take()
      if (!connection) return false
      const isOld = connection.used > 0
      try {
        await connection.send(this.#head(key, part), pieces)
        this.#pool.giveBack(connection)
        return true
      } catch (error) {
        // The server may close what it has not used for long.
        if (!isOld || !isLost(error)) throw error
      }
    }
  }

  close(): void {
    this.#pool.close()
  }

  #head(key: string, { length, sha256 }: Part): string {
    const { host } = this.#url
    const path = `/${this.#signer.bucket}/${key}`
    const time = signatureTime(new Date())
    const digest = sha256.toString('hex')
    const signed = `host:${host}\nx-amz-content-sha256:${digest}\nx-amz-date:${time}\n`
    const signature = sign(this.#signer, time, ['PUT', path, '', signed, SIGNED_HEADERS, digest].join('\n'))
    const credential = `${this.#signer.accessKey}/${scopeOf(this.#signer, time)}`
    return [
      `PUT ${path} HTTP/1.1`,
      `host: ${host}`,
      `content-length: ${length}`,
      'content-type: application/octet-stream',
      `x-amz-content-sha256: ${digest}`,
      `x-amz-date: ${time}`,
      `authorization: ${ALGORITHM} Credential=${credential}, SignedHeaders=${SIGNED_HEADERS}, Signature=${signature}`,
      '\r\n',
    ].join('\r\n')
  }
}

function isLost(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE'].includes((error as { code?: string }).code ?? '')
}
