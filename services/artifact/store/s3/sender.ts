// Writing objects and parts of them.
import type { Client } from 'minio'
import { Readable } from 'node:stream'
import { Part } from '../../domain/part.ts'
import { isByteStoreProblem, textPart, verifyPart } from '../byte-store.ts'
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
  async send(key: string, part: Part, query = ''): Promise<string> {
    if (!part.isVerified && !(await this.#comparesDigests())) await verifyPart(part)
    return this.#call(async (attempt) => {
      if (attempt > 1) await part.readAll()
      return this.sendOnce(key, part, query)
    })
  }

  /** Whether the server refuses bytes that have another digest than was signed: it is tried once. */
  #comparesDigests(): Promise<boolean> {
    const attempt = async (): Promise<boolean> => {
      const bytes = Buffer.from('not ')
      const wrong = new Part(bytes.length, textPart('these').sha256, [bytes])
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

  async sendOnce(key: string, part: Part, query = ''): Promise<string> {
    const headers = { 'content-length': String(part.length), 'content-type': 'application/octet-stream' }
    const request = { method: 'PUT', bucketName: this.#bucket, objectName: key, ...(query ? { query } : {}), headers }
    const body = await toBody(part)
    try {
      const sha256 = part.sha256.toString('hex')
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
