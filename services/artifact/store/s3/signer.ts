// Signature version 4 of requests to the S3 server. It is our own because others cost too much or bind too little: AWS's
// library doubles the CPU time of a small object, and the `minio` client's URLs accept any bytes. A test compares it with
// AWS's library.
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto'

export interface Credentials {
  region: string
  accessKey: string
  secretKey: string
}

export interface RequestToSign {
  method: 'GET' | 'PUT'
  /** `/bucket/key`, in characters that need no escaping. */
  path: string
  query?: Record<string, string>
  /** Names in lower case. The request must carry them unchanged, and the host. */
  headers: Record<string, string>
}

/** The header that binds a request to the SHA-256 of its body, in hex. */
export const CONTENT_SHA256 = 'x-amz-content-sha256'
export const NO_BODY_SHA256 = hash('sha256', '')
const ANY_BODY = 'UNSIGNED-PAYLOAD'
const ALGORITHM = 'AWS4-HMAC-SHA256'

export class S3Signer {
  readonly #endpoint: string
  readonly #host: string
  readonly #credentials: Credentials
  /** The key of the current day, whose derivation costs as much as the rest of a signature. */
  #dayKey: { scope: string; key: KeyObject } | undefined

  /** `endpoint`: `http://host:port` or `https://…`. */
  constructor(endpoint: string, credentials: Credentials) {
    const { origin, host } = new URL(endpoint)
    this.#endpoint = origin
    this.#host = host
    this.#credentials = credentials
  }

  /** The headers of the request with its signature. */
  sign(request: RequestToSign, now = new Date()): Record<string, string> {
    const time = timeOf(now)
    const headers = { ...request.headers, host: this.#host, 'x-amz-date': time }
    const signature = this.#signatureOf(request, headers, queryOf(request.query), time)
    const credential = `Credential=${this.#credentials.accessKey}/${this.#scopeOf(time)}`
    const authorization = `${ALGORITHM} ${credential}, SignedHeaders=${namesOf(headers)}, Signature=${signature}`
    return { ...headers, authorization }
  }

  /** A URL that carries the signature and is valid for `seconds` from `now`. Without a SHA-256 it accepts any body. */
  presign(request: RequestToSign, seconds: number, now: Date): string {
    const time = timeOf(now)
    const headers = { ...request.headers, host: this.#host }
    const query = queryOf({
      ...request.query,
      'X-Amz-Algorithm': ALGORITHM,
      'X-Amz-Credential': `${this.#credentials.accessKey}/${this.#scopeOf(time)}`,
      'X-Amz-Date': time,
      'X-Amz-Expires': String(seconds),
      'X-Amz-SignedHeaders': namesOf(headers),
    })
    const signature = this.#signatureOf(request, headers, query, time)
    return `${this.#endpoint}${request.path}?${query}&X-Amz-Signature=${signature}`
  }

  #signatureOf({ method, path }: RequestToSign, headers: Record<string, string>, query: string, time: string): string {
    const names = namesOf(headers)
    const lines = names.split(';').map((name) => `${name}:${headers[name]}\n`)
    const canonical = [method, path, query, lines.join(''), names, headers[CONTENT_SHA256] ?? ANY_BODY].join('\n')
    const scope = this.#scopeOf(time)
    const text = [ALGORITHM, time, scope, hash('sha256', canonical)].join('\n')
    return createHmac('sha256', this.#keyOf(scope)).update(text).digest('hex')
  }

  /** The day, region and service that a signature is valid for. */
  #scopeOf(time: string): string {
    return `${time.slice(0, 8)}/${this.#credentials.region}/s3/aws4_request`
  }

  #keyOf(scope: string): KeyObject {
    if (this.#dayKey?.scope !== scope) {
      let bytes = Buffer.from(`AWS4${this.#credentials.secretKey}`)
      for (const part of scope.split('/')) bytes = createHmac('sha256', bytes).update(part).digest()
      this.#dayKey = { scope, key: createSecretKey(bytes) }
    }
    return this.#dayKey.key
  }
}

/** The canonical query string, which is also valid in a URL. */
export function queryOf(query: Record<string, string> = {}): string {
  const names = Object.keys(query).sort()
  return names.map((name) => `${escape(name)}=${escape(query[name]!)}`).join('&')
}

function namesOf(headers: Record<string, string>): string {
  return Object.keys(headers).sort().join(';')
}

/** `20261123T045712Z`. */
function timeOf(now: Date): string {
  return now.toISOString().replaceAll(/[-:]|\.\d{3}/g, '')
}

/** Escapes everything but what RFC 3986 calls unreserved. */
function escape(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
}
