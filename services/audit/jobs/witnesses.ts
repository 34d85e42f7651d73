// Asks witnesses to cosign checkpoints: c2sp.org/tlog-witness, as the log that speaks to them.
import { findCosignature } from '#lib/tlog/cosignature.ts'
import { findSignature, splitNote, type Verifier } from '#lib/tlog/note.ts'
import type { PolicyWitness } from '#lib/tlog/policy.ts'
import { ForkRefused, refuseUnproven, refuseWitnessed } from '../domain/checkpoint.ts'
import type { StoredCheckpoint } from '../store/checkpoint.ts'

/** What a witness is told of the log. */
export interface LogView {
  /** The size of the newest checkpoint that was ever signed, as it is kept now. */
  newestSigned: () => Promise<number>
  /** That the tree of a size continues the one of a smaller, which is not 0. */
  prove: (oldSize: number, size: number) => Promise<Buffer[]>
}

export interface Asking {
  checkpoint: StoredCheckpoint
  view: LogView
  timeoutMs: number
}

const ATTEMPTS = 4
const MAX_ANSWER_BYTES = 64 * 1024
/** How far its clock may be from ours. Older is what was recorded before. */
const MAX_CLOCK_SKEW_SECONDS = 600

/** One witness, and what is known of it. */
export class WitnessClient {
  /** In the policy. */
  readonly name: string
  readonly cosigner: Verifier
  readonly #url: string
  /** The size it has cosigned last, as far as it told. */
  #size: number | undefined
  /** Why it holds the log to be forked. */
  refusal: ForkRefused | undefined
  /** It has answered since this process began, and knows nothing that is against the log. */
  hasAnswered = false

  constructor(witness: PolicyWitness & { url: string }) {
    this.name = witness.name
    this.#url = `${witness.url}/add-checkpoint`
    this.cosigner = witness.cosigner
  }

  /** Its cosignature, a line with its newline; undefined where it has cosigned a larger checkpoint already. Throws
   * ForkRefused where what it knows of the log is against the log. */
  async ask(asking: Asking): Promise<string | undefined> {
    try {
      const line = await this.#ask(asking, AbortSignal.timeout(asking.timeoutMs))
      this.hasAnswered = true
      this.refusal = undefined
      return line
    } catch (error) {
      if (error instanceof ForkRefused) this.refusal = error
      throw error
    }
  }

  async #ask({ checkpoint, view }: Asking, signal: AbortSignal): Promise<string | undefined> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const oldSize = this.#size ?? 0
      if (oldSize > checkpoint.size) {
        refuseWitnessed(oldSize, await view.newestSigned(), this.name)
        return undefined
      }
      const proof = oldSize === 0 ? [] : await view.prove(oldSize, checkpoint.size)
      const { status, body } = await this.#post(formatRequest(oldSize, proof, checkpoint.note), signal)
      if (status === 200) {
        const line = this.#findLine(checkpoint.note, body)
        this.#size = checkpoint.size
        return line
      }
      const size = status === 409 ? findSize(body) : undefined
      // By an earlier version of the protocol, 409 says of the same size that the roots differ.
      const isUnproven = status === 422 || (size === oldSize && size === checkpoint.size)
      if (isUnproven && oldSize > 0) refuseUnproven(oldSize, checkpoint.size, this.name)
      if (size === undefined) throw new Error(`witness responded with status ${status}: ${body.slice(0, 200).trim()}`)
      this.#size = size
    }
    throw new Error(`witness reports ${this.#size} entries but rejects every checkpoint that extends them`)
  }

  #findLine(note: string, body: string): string {
    const { cosigner } = this
    const text = splitNote(note)!.text
    for (const line of body.split('\n')) {
      const found = findSignature(line)
      if (found?.name !== cosigner.name || !found.id.equals(cosigner.id)) continue
      const time = findCosignature(`${text}\n${line}\n`, cosigner)
      if (typeof time !== 'bigint') throw new Error('cosignature does not match the checkpoint')
      const skew = Math.abs(Number(time) - Date.now() / 1000)
      if (skew > MAX_CLOCK_SKEW_SECONDS) throw new Error(`cosignature time is off by ${Math.round(skew)} s`)
      return `${line}\n`
    }
    throw new Error("response has no cosignature by the witness's key")
  }

  async #post(body: string, signal: AbortSignal): Promise<{ status: number; body: string }> {
    const headers = { 'content-type': 'text/plain; charset=utf-8' }
    const answer = await fetch(this.#url, { method: 'POST', body, headers, signal, redirect: 'error' })
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.length
      if (bytes > MAX_ANSWER_BYTES) throw new Error(`response exceeds ${MAX_ANSWER_BYTES} bytes`)
      chunks.push(chunk)
    }
    return { status: answer.status, body: Buffer.concat(chunks).toString() }
  }
}

function formatRequest(oldSize: number, proof: Buffer[], note: string): string {
  return `old ${oldSize}\n${proof.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${note}`
}

function findSize(body: string): number | undefined {
  const digits = /^(0|[1-9][0-9]{0,18})\n$/.exec(body)?.[1]
  return digits === undefined ? undefined : Number(digits)
}
