// The witnesses of the policy, as one panel: it collects their cosignatures and counts the quorum.
import type { Logger } from '#lib/process/log.ts'
import { splitNote } from '#lib/tlog/note.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import { checkPolicy } from '#lib/tlog/policy.ts'
import {
  findNewestSigned,
  insertCosignature,
  readCosignatures,
  type Quorum,
  type StoredCheckpoint,
} from '../store/tree/checkpoints.ts'
import { proveConsistency } from '../store/tree/tiles.ts'
import type { Cosigning } from './cosigning.ts'
import { WitnessClient, type LogView } from './witness-client.ts'

/** The witnesses of the policy that have an address. */
export class WitnessPanel {
  readonly #database: Database
  readonly #cosigning: Cosigning
  readonly #logger: Logger
  readonly #view: LogView
  readonly #clients: WitnessClient[]
  /** The request under way at each witness; the next one follows it. */
  readonly #requests = new Map<WitnessClient, Promise<void>>()
  /** The problem last logged for each witness. */
  readonly #problems = new Map<WitnessClient, string>()
  #hasCheckedLast = false

  constructor(database: Database, cosigning: Cosigning, logger: Logger) {
    this.#database = database
    this.#cosigning = cosigning
    this.#logger = logger
    this.#view = {
      newestSigned: async () => (await findNewestSigned(forkFor(database)))?.size ?? 0,
      prove: (oldSize, size) => proveConsistency(forkFor(database), oldSize, size),
    }
    this.#clients = cosigning.policy.witnesses.flatMap((witness) =>
      witness.url === undefined ? [] : [new WitnessClient({ ...witness, url: witness.url })],
    )
  }

  /** Shows the witnesses the last signed checkpoint before anything is signed, so that a witness that has cosigned a
   * larger one can report it. Throws ForkError then, and an Error where a required quorum has not responded yet. */
  async checkLastSigned(lastSigned: StoredCheckpoint): Promise<void> {
    const { policy, withhold } = this.#cosigning
    const isAgreed = () =>
      policy.isQuorum(new Set(this.#clients.filter((one) => one.hasAnswered).map(({ name }) => name)))
    const rejecting = this.#clients.filter(({ rejection }) => rejection)
    if (rejecting.length === 0 && this.#hasCheckedLast && (!withhold || isAgreed())) return
    const unheard = this.#clients.filter(({ hasAnswered, rejection }) => !hasAnswered || rejection)
    await Promise.all(unheard.map((client) => this.#request(client, lastSigned, async () => {})))
    this.#hasCheckedLast = true
    this.#throwRejection()
    if (withhold && !isAgreed()) {
      throw new Error('quorum of witnesses has not answered yet; nothing is signed until it does')
    }
  }

  /** Requests a cosignature from every witness, and returns once they form a quorum or all have responded. Throws
   * ForkError where a witness reports a fork. */
  async collect(checkpoint: StoredCheckpoint, keyId: string): Promise<Quorum> {
    let reached: () => void
    const isReached = new Promise<void>((resolve) => (reached = resolve))
    const store = async (client: WitnessClient, line: string): Promise<void> => {
      const { name: cosigner, id } = client.cosigner
      const cosignature = { size: checkpoint.size, keyId, cosignerId: id.toString('hex'), cosigner, line }
      await insertCosignature(forkFor(this.#database), cosignature)
      if (await this.#isQuorum(checkpoint, keyId)) reached()
    }
    const requests = this.#clients.map((client) => this.#request(client, checkpoint, (line) => store(client, line)))
    // The quorum may be there already: after a restart, or with a policy that needs no witness.
    if (!(await this.#isQuorum(checkpoint, keyId))) await Promise.race([isReached, Promise.all(requests)])
    this.#throwRejection()
    return (await this.#isQuorum(checkpoint, keyId)) ? 'MET' : 'UNMET'
  }

  /** Waits for the requests under way. */
  async stop(): Promise<void> {
    await Promise.all(this.#requests.values())
  }

  /** Never rejects: the problem of a witness is logged, once. */
  #request(client: WitnessClient, checkpoint: StoredCheckpoint, store: (line: string) => Promise<void>): Promise<void> {
    const { timeoutMs } = this.#cosigning
    const previous = this.#requests.get(client) ?? Promise.resolve()
    const request = previous
      .then(() => client.requestCosignature({ checkpoint, view: this.#view, timeoutMs }))
      .then(async (line) => {
        if (line !== undefined) await store(line)
        if (this.#problems.delete(client)) this.#logger.info({ witness: client.name }, 'witness cosigns again')
      })
      .catch((error: unknown) => this.#logProblem(client, error as Error))
      .finally(() => {
        if (this.#requests.get(client) === request) this.#requests.delete(client)
      })
    this.#requests.set(client, request)
    return request
  }

  #logProblem(client: WitnessClient, error: Error): void {
    const { cause, message } = error as { cause?: { code?: string }; message: string }
    const trouble = cause?.code === undefined ? message : `${message} (${cause.code})`
    if (this.#problems.get(client) === trouble) return
    this.#problems.set(client, trouble)
    this.#logger.warn({ witness: client.name, trouble }, 'witness failed to cosign')
  }

  #throwRejection(): void {
    for (const { rejection } of this.#clients) if (rejection) throw rejection
  }

  async #isQuorum({ size, note }: StoredCheckpoint, keyId: string): Promise<boolean> {
    const cosigned = await readCosignatures(forkFor(this.#database), size, keyId)
    return checkPolicy(`${splitNote(note)!.text}\n${cosigned}`, this.#cosigning.policy).isQuorum
  }
}
