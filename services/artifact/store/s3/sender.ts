// Writing objects and parts of them.
import type { Client } from 'minio'
import { Readable } from 'node:stream'
import { isByteStoreProblem, requireDigest, textBytes, type Bytes } from '../byte-store.ts'
import { toBody } from './body.ts'

/** Where no object and no mark of an installation is. */
const PROBE = 'modelkeep/probe'

type Call = <T>(work: (attempt: number) => Promise<T>) => Promise<T>

export class S3Sender {
  readonly #client: Client
  readonly #bucket: string
  readonly #region: string
  readonly #call: Call
  #comparing: Promise<boolean> | undefined

  /** `call` repeats what may be repeated. */
  constructor(client: Client, bucket: string, region: string, call: Call) {
    this.#client = client
    this.#bucket = bucket
    this.#region = region
    this.#call = call
  }

  /** What is still coming in goes to the server as it comes; should that fail, again when all is there. Returns the ETag. */
  async send(key: string, bytes: Bytes, query = ''): Promise<string> {
    if (bytes.more && !(await this.#comparesDigests())) await requireDigest(bytes)
    return this.#call(async (attempt) => {
      if (attempt > 1) await waitForAll(bytes)
      return this.sendOnce(key, bytes, query)
    })
  }

  /** Whether the server refuses bytes that have another digest than was signed: it is tried once. */
  #comparesDigests(): Promise<boolean> {
    const attempt = async (): Promise<boolean> => {
      const wrong = { ...textBytes('not '), sha256: textBytes('these').sha256 }
      try {
        await this.#call(() => this.sendOnce(PROBE, wrong))
        return false
      } catch (error) {
        if (isByteStoreProblem(error, 'digest differs')) return true
        this.#comparing = undefined
        throw error
      }
    }
    return (this.#comparing ??= attempt())
  }

  async sendOnce(key: string, bytes: Bytes, query = ''): Promise<string> {
    const headers = { 'content-length': String(bytes.length), 'content-type': 'application/octet-stream' }
    const request = { method: 'PUT', bucketName: this.#bucket, objectName: key, ...(query ? { query } : {}), headers }
    const body = toBody(bytes)
    try {
      const sha256 = bytes.sha256.toString('hex')
      const answer = await this.#client.makeRequestStreamAsync(request, body, sha256, [200], this.#region)
      answer.resume()
      return (answer.headers.etag ?? '').replace(/^"|"$/g, '')
    } catch (error) {
      // The server may answer before it has read all.
      if (body instanceof Readable) body.destroy()
      throw error
    }
  }
}

async function waitForAll(bytes: Bytes): Promise<void> {
  while (await bytes.more?.(bytes.chunks.length));
}
