// Batches the calls for parts that are uploaded directly to the store: SignParts before the upload, and ConfirmParts after it.
import type { Client } from '@connectrpc/connect'
import { DirectService, type SignedRequest } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { Batcher } from '#lib/process/batcher.ts'
import { unary, type Registry } from '../connection/registry.ts'
import type { Outcome, Part } from './push-context.ts'

/** The parts of one call, while other parts are in flight. */
const BATCH_SIZE = 4
/** The time that an uploaded part may wait to be confirmed with others. */
const GATHER_MS = 200
/** Uploaded parts are confirmed even after an interruption, so that the next command resumes after them. */
const RECORD_TIMEOUT_MS = 5_000

type HashedPart = Pick<Part, 'number' | 'size'> & { sha256: Buffer }
type SentPart = HashedPart & { etag: string }

export class DirectParts {
  readonly #registry: Pick<Registry, 'artifact' | 'signal'>
  readonly #uploadId: string
  readonly #signatures: Batcher<HashedPart, SignedRequest | undefined>
  readonly #records: Batcher<SentPart, Outcome>
  /** The numbers of parts that are not signed, or not confirmed, including failed ones. */
  #unsigned: number
  #unrecorded: number
  #inFlight = 0

  /** `count`: the number of parts to upload. */
  constructor(registry: Pick<Registry, 'artifact' | 'signal'>, uploadId: string, count: number) {
    this.#registry = registry
    this.#uploadId = uploadId
    this.#unsigned = this.#unrecorded = count
    const common = { maxJobs: 100, gatherMs: GATHER_MS, isJobError: () => false }
    this.#signatures = new Batcher({
      ...common,
      work: (parts) => this.#sign(parts),
      minJobs: () => (this.#inFlight === 0 ? 1 : Math.min(BATCH_SIZE, this.#unsigned)),
    })
    this.#records = new Batcher({
      ...common,
      work: (parts) => this.#record(parts),
      minJobs: () => (registry.signal.aborted ? 1 : Math.min(BATCH_SIZE, this.#unrecorded)),
    })
    registry.signal.addEventListener('abort', () => this.#records.recheck(), { once: true })
  }

  /** Uploads a part with `put`, which returns the ETag of the store. */
  async upload(part: HashedPart, put: (request: SignedRequest) => Promise<string>): Promise<Outcome> {
    const request = await this.#signatures.submit(part)
    if (!request) return 'not needed'
    const etag = await put(request).finally(() => {
      this.#inFlight -= 1
      this.#signatures.recheck()
    })
    return this.#records.submit({ ...part, etag })
  }

  get #service(): Client<typeof DirectService> {
    return this.#registry.artifact(DirectService)
  }

  async #sign(hashed: HashedPart[]): Promise<(SignedRequest | undefined)[]> {
    this.#unsigned -= hashed.length
    const parts = hashed.map(({ number, sha256 }) => ({ number, sha256 }))
    const answer = await this.#service.signParts({ uploadId: this.#uploadId, parts }, unary(this.#registry))
    this.#inFlight += parts.length
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
