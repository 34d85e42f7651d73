// Writes of objects and parts whose bytes may still be arriving.
import { Part } from '../../domain/part.ts'
import { isByteStoreProblem, textPart, verifyPart } from '../byte-store.ts'
import { retry } from './retry.ts'
import type { S3Transfers } from './transfers.ts'

/** The key of an object that is never stored. */
const PROBE = 'modelkeep/probe'

export class S3Sender {
  readonly #transfers: S3Transfers
  #comparesDigests: Promise<boolean> | undefined

  constructor(transfers: S3Transfers) {
    this.#transfers = transfers
  }

  /** Sends a part to the server as its bytes arrive; a retry waits until all of them are there. Returns the ETag. */
  async send(key: string, part: Part, query: Record<string, string> = {}): Promise<string> {
    if (!part.isVerified && !(await this.#serverComparesDigests())) await verifyPart(part)
    return retry(async (attempt) => {
      if (attempt > 1) await part.readAll()
      return this.#transfers.put(key, part, query)
    })
  }

  /** Whether the server rejects bytes with another digest than was signed. It is tried once. */
  #serverComparesDigests(): Promise<boolean> {
    const attempt = async (): Promise<boolean> => {
      const bytes = Buffer.from('not ')
      const wrong = new Part(bytes.length, textPart('these').sha256, [bytes])
      try {
        await retry(() => this.#transfers.put(PROBE, wrong))
        return false
      } catch (error) {
        if (isByteStoreProblem(error, 'digest differs')) return true
        this.#comparesDigests = undefined
        throw error
      }
    }
    return (this.#comparesDigests ??= attempt())
  }
}
