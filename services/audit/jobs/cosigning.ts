// Whose cosignatures checkpoints need before they are shown, and how they are gathered.
import type { EnvReader } from '#lib/process/env.ts'
import type { Logger } from '#lib/process/log.ts'
import { splitNote } from '#lib/tlog/note.ts'
import { readText } from '#lib/process/settings.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import { checkPolicy, parsePolicy, PolicyError, type Policy } from '#lib/tlog/policy.ts'
import {
  findNewestSigned,
  insertCosignature,
  readCosignatures,
  type Quorum,
  type StoredCheckpoint,
} from '../store/checkpoint.ts'
import { proveConsistency } from '../store/tiles.ts'
import { WitnessClient, type LogView } from './witnesses.ts'

export interface Cosigning {
  policy: Policy
  /** For one witness to answer. */
  timeoutMs: number
  /** A checkpoint with too few cosignatures is kept back, rather than shown with those it has. */
  withhold: boolean
}

export function readCosigning(env: EnvReader): Cosigning | undefined {
  const text = env.secret('AUDIT_POLICY', readText, '')
  const timeoutMs = env.integer('AUDIT_WITNESS_TIMEOUT_MS', 1_000, { min: 50, max: 60_000 })
  const withhold = env.oneOf('AUDIT_WITHOUT_QUORUM', ['publish', 'withhold'], 'publish') === 'withhold'
  if (text === '') return undefined
  try {
    return { policy: parsePolicy(text), timeoutMs, withhold }
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    env.problem(`AUDIT_POLICY must be a policy in the format of c2sp.org/tlog-policy: ${error.message}`)
  }
}

/** The witnesses of the policy that have an address. */
export class Panel {
  readonly #database: Database
  readonly #cosigning: Cosigning
  readonly #logger: Logger
  readonly #view: LogView
  readonly #clients: WitnessClient[]
  /** What is asked, each by its witness: one at a time. */
  readonly #asking = new Map<WitnessClient, Promise<void>>()
  /** What was last told of a witness. */
  readonly #troubles = new Map<WitnessClient, string>()
  #wasConfronted = false

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

  /** Before anything is signed: shows the witnesses what was signed last, so that one that knows of more can say so.
   * Throws ForkRefused then, and an error where a quorum must have answered first and has not. */
  async confront(lastSigned: StoredCheckpoint): Promise<void> {
    const { policy, withhold } = this.#cosigning
    const isAgreed = () =>
      policy.isQuorum(new Set(this.#clients.filter((one) => one.hasAnswered).map(({ name }) => name)))
    const refusing = this.#clients.filter(({ refusal }) => refusal)
    if (refusing.length === 0 && this.#wasConfronted && (!withhold || isAgreed())) return
    const unheard = this.#clients.filter(({ hasAnswered, refusal }) => !hasAnswered || refusal)
    await Promise.all(unheard.map((client) => this.#ask(client, lastSigned, async () => {})))
    this.#wasConfronted = true
    this.#throwRefusal()
    if (withhold && !isAgreed())
      throw new Error('quorum of witnesses has not answered yet; nothing is signed until it does')
  }

  /** Asks all for their cosignatures, and waits until they are enough, or for all answers. Throws ForkRefused. */
  async collect(checkpoint: StoredCheckpoint, keyId: string): Promise<Quorum> {
    let reached: () => void
    const isReached = new Promise<void>((resolve) => (reached = resolve))
    const keep = async (client: WitnessClient, line: string): Promise<void> => {
      const { name: cosigner, id } = client.cosigner
      const cosignature = { size: checkpoint.size, keyId, cosignerId: id.toString('hex'), cosigner, line }
      await insertCosignature(forkFor(this.#database), cosignature)
      if (await this.#isQuorum(checkpoint, keyId)) reached()
    }
    const asked = this.#clients.map((client) => this.#ask(client, checkpoint, (line) => keep(client, line)))
    // As after a start, or with a policy that asks for none.
    if (!(await this.#isQuorum(checkpoint, keyId))) await Promise.race([isReached, Promise.all(asked)])
    this.#throwRefusal()
    return (await this.#isQuorum(checkpoint, keyId)) ? 'MET' : 'UNMET'
  }

  /** Waits for what is asked. */
  async stop(): Promise<void> {
    await Promise.all(this.#asking.values())
  }

  /** Does not reject: what is wrong with a witness is told, once. */
  #ask(client: WitnessClient, checkpoint: StoredCheckpoint, keep: (line: string) => Promise<void>): Promise<void> {
    const { timeoutMs } = this.#cosigning
    const before = this.#asking.get(client) ?? Promise.resolve()
    const asking = before
      .then(() => client.ask({ checkpoint, view: this.#view, timeoutMs }))
      .then(async (line) => {
        if (line !== undefined) await keep(line)
        if (this.#troubles.delete(client)) this.#logger.info({ witness: client.name }, 'witness cosigns again')
      })
      .catch((error: unknown) => this.#tell(client, error as Error))
      .finally(() => {
        if (this.#asking.get(client) === asking) this.#asking.delete(client)
      })
    this.#asking.set(client, asking)
    return asking
  }

  #tell(client: WitnessClient, error: Error): void {
    const { cause, message } = error as { cause?: { code?: string }; message: string }
    const trouble = cause?.code === undefined ? message : `${message} (${cause.code})`
    if (this.#troubles.get(client) === trouble) return
    this.#troubles.set(client, trouble)
    this.#logger.warn({ witness: client.name, trouble }, 'witness failed to cosign')
  }

  #throwRefusal(): void {
    for (const { refusal } of this.#clients) if (refusal) throw refusal
  }

  async #isQuorum({ size, note }: StoredCheckpoint, keyId: string): Promise<boolean> {
    const cosigned = await readCosignatures(forkFor(this.#database), size, keyId)
    return checkPolicy(`${splitNote(note)!.text}\n${cosigned}`, this.#cosigning.policy).isQuorum
  }
}
