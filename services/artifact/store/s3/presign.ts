// URLs that let their bearer read or write one object for a limited time.
import { checkObjectKey, type PartToSign, type Presigner, type SignedRequest } from '../byte-store.ts'
import type { S3Options } from './options.ts'
import { CONTENT_SHA256, S3Signer, type RequestToSign } from './signer.ts'

const DEFAULT_SECONDS = 900

export class S3Presigner implements Presigner {
  readonly #bucket: string
  readonly #seconds: number
  readonly #signer: S3Signer

  constructor(options: S3Options) {
    this.#bucket = options.bucket
    this.#seconds = options.presignSeconds ?? DEFAULT_SECONDS
    this.#signer = new S3Signer(options.publicEndpoint ?? options.endpoint, options)
  }

  putPart({ key, uploadId, number, length, sha256 }: PartToSign): SignedRequest {
    const headers = { 'content-length': String(length), [CONTENT_SHA256]: sha256.toString('hex') }
    return this.#presign({ method: 'PUT', key, headers, query: { partNumber: String(number), uploadId } })
  }

  get(key: string): SignedRequest {
    return this.#presign({ method: 'GET', key, headers: {} })
  }

  #presign({ key, ...request }: Omit<RequestToSign, 'path'> & { key: string }): SignedRequest {
    const now = new Date()
    const path = `/${this.#bucket}/${checkObjectKey(key)}`
    const url = this.#signer.presign({ ...request, path }, this.#seconds, now)
    const expireTime = new Date(now.getTime() + this.#seconds * 1000)
    return { method: request.method, url, headers: request.headers, expireTime }
  }
}
