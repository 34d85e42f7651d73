// What the service is asked about the parts of an upload that go straight to the store: to sign before and to record
// after, for several parts at a time.
import type { Client } from '@connectrpc/connect'
import { DirectService, type SignedRequest } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { Batcher } from '#lib/process/batcher.ts'
import { unary, type Registry } from '../connection/registry.ts'
import type { Outcome, Part } from './sending.ts'

/** In one call, while others are on their way. */
const TOGETHER = 4
/** How long a part that was sent may wait to be recorded with others. */
const GATHER_MS = 200
/** What was sent is recorded also for a command that was interrupted, so that the next one goes on there. */
const RECORD_TIMEOUT_MS = 5_000

type HashedPart = Pick<Part, 'number' | 'size'> & { sha256: Buffer }
type SentPart = HashedPart & { etag: string }

export class DirectParts {
  readonly #registry: Pick<Registry, 'artifact' | 'signal'>
  readonly #uploadId: string
  readonly #signatures: Batcher<HashedPart, SignedRequest | undefined>
  readonly #records: Batcher<SentPart, Outcome>
  /** Parts that are still to be signed, or to be recorded; those that fail among them. */
  #unsigned: number
  #unrecorded: number
  #onTheWay = 0

  /** `count`: of the parts that will be sent. */
  constructor(registry: Pick<Registry, 'artifact' | 'signal'>, uploadId: string, count: number) {
    this.#registry = registry
    this.#uploadId = uploadId
    this.#unsigned = this.#unrecorded = count
    const common = { maxJobs: 100, gatherMs: GATHER_MS, isJobError: () => false }
    this.#signatures = new Batcher({
      ...common,
      work: (parts) => this.#sign(parts),
      minJobs: () => (this.#onTheWay === 0 ? 1 : Math.min(TOGETHER, this.#unsigned)),
    })
    this.#records = new Batcher({
      ...common,
      work: (parts) => this.#record(parts),
      minJobs: () => (registry.signal.aborted ? 1 : Math.min(TOGETHER, this.#unrecorded)),
    })
    registry.signal.addEventListener('abort', () => this.#records.recheck(), { once: true })
  }

  /** `put` sends it, and returns the store's ETag. */
  async move(part: HashedPart, put: (request: SignedRequest) => Promise<string>): Promise<Outcome> {
    const request = await this.#signatures.do(part)
    if (!request) return 'not needed'
    const etag = await put(request).finally(() => {
      this.#onTheWay -= 1
      this.#signatures.recheck()
    })
    return this.#records.do({ ...part, etag })
  }

  get #service(): Client<typeof DirectService> {
    return this.#registry.artifact(DirectService)
  }

  async #sign(hashed: HashedPart[]): Promise<(SignedRequest | undefined)[]> {
    this.#unsigned -= hashed.length
    const parts = hashed.map(({ number, sha256 }) => ({ number, sha256 }))
    const answer = await this.#service.signParts({ uploadId: this.#uploadId, parts }, unary(this.#registry))
    this.#onTheWay += parts.length
    return parts.map((_, index) => (answer.blob ? undefined : answer.parts[index]?.request))
  }

  async #record(sent: SentPart[]): Promise<Outcome[]> {
    this.#unrecorded -= sent.length
    const parts = sent.map(({ number, sha256, etag, size }) => ({ number, sha256, etag, sizeBytes: BigInt(size) }))
    const options = { timeoutMs: RECORD_TIMEOUT_MS }
    const { blob } = await this.#service.confirmParts({ uploadId: this.#uploadId, parts }, options)
    return parts.map(() => (blob ? 'not needed' : 'sent'))
  }
}
