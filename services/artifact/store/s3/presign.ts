// URLs that let their bearer do one thing to one object for a while: signature version 4 in the query. The `minio`
// client's own signs no headers, and so binds no bytes.
import { checkObjectKey, type PartToSign, type Presigner, type SignedRequest } from '../byte-store.ts'
import { ALGORITHM, scopeOf, sign, signatureTime, type Signer } from './signature.ts'
import type { S3Options } from './options.ts'

const DEFAULT_SECONDS = 900

export class S3Presigner implements Presigner {
  readonly #options: S3Options
  readonly #signer: Signer

  constructor(options: S3Options) {
    this.#options = options
    this.#signer = { ...options, endpoint: (options.publicEndpoint ?? options.endpoint).replace(/\/$/, '') }
  }

  putPart({ key, uploadId, number, length, sha256 }: PartToSign): SignedRequest {
    const headers = { 'content-length': String(length), 'x-amz-content-sha256': sha256.toString('hex') }
    return this.#sign('PUT', key, { headers, query: { partNumber: String(number), uploadId } })
  }

  get(key: string): SignedRequest {
    return this.#sign('GET', key, {})
  }

  #sign(method: 'GET' | 'PUT', key: string, more: Pick<ToSign, 'headers' | 'query'>): SignedRequest {
    const { bucket, presignSeconds: seconds = DEFAULT_SECONDS } = this.#options
    const now = new Date()
    const url = presign(this.#signer, { ...more, method, path: `/${bucket}/${checkObjectKey(key)}`, seconds, now })
    return { method, url, headers: more.headers ?? {}, expireTime: new Date(now.getTime() + seconds * 1000) }
  }
}

export interface ToSign {
  method: 'GET' | 'PUT'
  /** `/bucket/key`, of characters that need no escape. */
  path: string
  query?: Record<string, string>
  /** Names in lower case. The request must carry them as they are. */
  headers?: Record<string, string>
  seconds: number
  now: Date
}

/** Without a call over the network. Where `headers` has `x-amz-content-sha256`, the store takes no other bytes. */
export function presign(signer: Signer, request: ToSign): string {
  const { endpoint, accessKey } = signer
  const time = signatureTime(request.now)
  const headers = Object.entries({ ...request.headers, host: new URL(endpoint).host }).sort(byName)
  const names = headers.map(([name]) => name).join(';')
  const query = Object.entries({
    ...request.query,
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Credential': `${accessKey}/${scopeOf(signer, time)}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': String(request.seconds),
    'X-Amz-SignedHeaders': names,
  })
    .sort(byName)
    .map(([name, value]) => `${escape(name)}=${escape(value)}`)
    .join('&')
  const payload = request.headers?.['x-amz-content-sha256'] ?? 'UNSIGNED-PAYLOAD'
  const lines = headers.map(([name, value]) => `${name}:${value}\n`).join('')
  const canonical = [request.method, request.path, query, lines, names, payload].join('\n')
  return `${endpoint}${request.path}?${query}&X-Amz-Signature=${sign(signer, time, canonical)}`
}

function byName([left]: [string, string], [right]: [string, string]): number {
  return left < right ? -1 : 1
}

/** Everything but what RFC 3986 calls unreserved. */
function escape(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
}
