// Signatures compared with those of the AWS library.
import { SignatureV4 } from '@smithy/signature-v4'
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  CONTENT_SHA256,
  NO_BODY_SHA256,
  S3Signer,
  type RequestToSign,
} from '../../services/artifact/store/s3/signer.ts'

const CREDENTIALS = { region: 'eu-west-1', accessKey: 'key/with+signs', secretKey: 'secret-key' }
const NOW = new Date('2026-11-23T04:57:12.345Z')
const SHA256 = createHash('sha256').update('bytes').digest('hex')
const PATH = '/bucket/objects/ab/ab000000-0000-4000-8000-000000000000'

const REQUESTS: [string, RequestToSign][] = [
  [
    'a range of an object',
    { method: 'GET', path: PATH, headers: { range: 'bytes=0-99', [CONTENT_SHA256]: NO_BODY_SHA256 } },
  ],
  ['an object', { method: 'PUT', path: PATH, headers: { 'content-length': '5', [CONTENT_SHA256]: SHA256 } }],
  [
    'a part of an upload whose name needs escaping',
    {
      method: 'PUT',
      path: PATH,
      query: { partNumber: '12', uploadId: "2~a+b/c=(d)*e'f!" },
      headers: { 'content-length': '5', 'content-type': 'application/octet-stream', [CONTENT_SHA256]: SHA256 },
    },
  ],
]

test.each(['http://127.0.0.1:9000', 'https://s3.example.com'])(
  'signs like the AWS library for %s',
  async (endpoint) => {
    const signer = new S3Signer(endpoint, CREDENTIALS)
    for (const [, request] of REQUESTS) {
      const { headers } = await reference().sign(referenceRequest(endpoint, request), { signingDate: NOW })
      expect(signer.sign(request, NOW)).toEqual(headers)
    }
  },
)

test.each(REQUESTS)('presigns %s like the AWS library', async (_name, request) => {
  const endpoint = 'https://s3.example.com'
  const url = new URL(new S3Signer(endpoint, CREDENTIALS).presign(request, 900, NOW))
  const unhoistableHeaders = new Set([CONTENT_SHA256])
  const options = { expiresIn: 900, signingDate: NOW, unhoistableHeaders }
  const { query } = await reference().presign(referenceRequest(endpoint, request), options)
  expect(Object.fromEntries(url.searchParams)).toEqual(query)
})

test('presigns an object for any body where no SHA-256 is bound', async () => {
  const endpoint = 'https://s3.example.com'
  const request: RequestToSign = { method: 'GET', path: PATH, headers: {} }
  const url = new URL(new S3Signer(endpoint, CREDENTIALS).presign(request, 900, NOW))
  // The library signs UNSIGNED-PAYLOAD for a body that it cannot hash.
  const withBody = { ...referenceRequest(endpoint, request), body: {} }
  const { query } = await reference().presign(withBody, { expiresIn: 900, signingDate: NOW })
  expect(Object.fromEntries(url.searchParams)).toEqual(query)
})

test('derives a new key when the day changes', () => {
  const signer = new S3Signer('https://s3.example.com', CREDENTIALS)
  const [, [, request]] = REQUESTS as [unknown, [string, RequestToSign]]
  signer.sign(request, new Date('2026-11-22T23:59:59Z'))
  const fresh = new S3Signer('https://s3.example.com', CREDENTIALS)
  expect(signer.sign(request, NOW)).toEqual(fresh.sign(request, NOW))
})

function referenceRequest(endpoint: string, { method, path, query = {}, headers }: RequestToSign) {
  const { protocol, hostname, host } = new URL(endpoint)
  return { method, protocol, hostname, path, query, headers: { ...headers, host } }
}

function reference(): SignatureV4 {
  const { region, accessKey: accessKeyId, secretKey: secretAccessKey } = CREDENTIALS
  const credentials = { accessKeyId, secretAccessKey }
  return new SignatureV4({
    service: 's3',
    region,
    credentials,
    sha256: Sha256,
    uriEscapePath: false,
    applyChecksum: false,
  })
}

/** The caller passes the hash implementation to the library. */
class Sha256 {
  readonly #hash: Hash | Hmac

  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', toBuffer(key))
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }

  reset(): void {}
}

function toBuffer(source: string | ArrayBuffer | ArrayBufferView): Buffer {
  if (typeof source === 'string') return Buffer.from(source)
  const isView = ArrayBuffer.isView(source)
  return isView ? Buffer.from(source.buffer, source.byteOffset, source.byteLength) : Buffer.from(source)
}
