// The bytes of objects on their way to and from the S3 server, over connections that are reused.
import type { Part } from '../../domain/part.ts'
import { Connection, type Exchange } from './connection.ts'
import { isLost } from './faults.ts'
import type { Head } from './head.ts'
import type { S3Options } from './options.ts'
import { ConnectionPool } from './pool.ts'
import { CONTENT_SHA256, NO_BODY_SHA256, S3Signer, queryOf, type RequestToSign } from './signer.ts'
import { addressOf } from './socket.ts'

export interface Sent {
  head: Head
  connection: Connection
  /** Makes the connection available again. */
  release: () => void
}

export class S3Transfers {
  readonly #bucket: string
  readonly #signer: S3Signer
  /** Slow readers of objects must not hold up writers. */
  readonly #readers: ConnectionPool<Connection>
  readonly #writers: ConnectionPool<Connection>

  constructor(options: S3Options, silenceMs: number) {
    const address = addressOf(new URL(options.endpoint))
    const open = (onClose: () => void) => new Connection(address, silenceMs, onClose)
    this.#bucket = options.bucket
    this.#signer = new S3Signer(options.endpoint, options)
    this.#readers = new ConnectionPool(open)
    this.#writers = new ConnectionPool(open)
  }

  /** Sends an object, or the part that `query` names. Returns its ETag. The server compares the bytes with `sha256`. */
  async put(key: string, part: Part, query: Record<string, string> = {}): Promise<string> {
    const headers = {
      'content-length': String(part.length),
      'content-type': 'application/octet-stream',
      [CONTENT_SHA256]: part.sha256.toString('hex'),
    }
    const head = this.#headOf({ method: 'PUT', path: this.#pathOf(key), query, headers })
    const accept = ({ status }: Head) => (status === 200 ? 0 : undefined)
    const sent = await sendOver(this.#writers, { head, body: part, accept })
    sent.release()
    return (sent.head.headers.get('etag') ?? '').replace(/^"|"$/g, '')
  }

  /** Up to `length` bytes of an object from `offset`, fewer where the object ends. */
  async get(key: string, offset: number, length: number, signal?: AbortSignal): Promise<AsyncGenerator<Buffer>> {
    const range = `bytes=${offset}-${offset + length - 1}`
    const headers = { range, [CONTENT_SHA256]: NO_BODY_SHA256 }
    const head = this.#headOf({ method: 'GET', path: this.#pathOf(key), headers })
    const sent = await sendOver(
      this.#readers,
      { head, accept: (answer) => rangeLength(answer, offset, length) },
      signal,
    )
    return readFrom(sent)
  }

  close(): void {
    this.#readers.close()
    this.#writers.close()
  }

  #pathOf(key: string): string {
    return `/${this.#bucket}/${key}`
  }

  #headOf(request: RequestToSign): string {
    const query = queryOf(request.query)
    const lines = [`${request.method} ${request.path}${query && `?${query}`} HTTP/1.1`]
    const headers = this.#signer.sign(request)
    for (const name in headers) lines.push(`${name}: ${headers[name]}`)
    return `${lines.join('\r\n')}\r\n\r\n`
  }
}

/** Sends again where the connection was reused: the server may have closed it before it saw the request. */
async function sendOver(pool: ConnectionPool<Connection>, exchange: Exchange, signal?: AbortSignal): Promise<Sent> {
  for (;;) {
    const connection = await pool.take(signal)
    const isReused = connection.used > 0
    const stop = (): void => connection.destroy()
    signal?.addEventListener('abort', stop, { once: true })
    const release = (): void => {
      signal?.removeEventListener('abort', stop)
      pool.release(connection)
    }
    try {
      return { head: await connection.send(exchange), connection, release }
    } catch (error) {
      release()
      signal?.throwIfAborted()
      if (!isReused || !isLost(error)) throw error
    }
  }
}

async function* readFrom({ connection, release }: Sent): AsyncGenerator<Buffer> {
  try {
    for (let bytes = await connection.next(); bytes; bytes = await connection.next()) yield bytes
  } finally {
    release()
  }
}

/** The length of a body that begins at `offset` and ends within the range; undefined where the answer is another one. */
function rangeLength({ status, headers }: Head, offset: number, length: number): number | undefined {
  const [, first, last] = /^bytes (\d+)-(\d+)\//.exec(headers.get('content-range') ?? '') ?? []
  const count = Number(last) - Number(first) + 1
  const isExpected = status === 206 && Number(first) === offset && count > 0 && count <= length
  return isExpected && headers.get('content-length') === String(count) ? count : undefined
}
