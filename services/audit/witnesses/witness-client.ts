// The log's side of c2sp.org/tlog-witness: requests cosignatures from one witness.
import { findCosignature } from '#lib/tlog/cosignature.ts'
import { findSignature, splitNote, type Verifier } from '#lib/tlog/note.ts'
import type { PolicyWitness } from '#lib/tlog/policy.ts'
import { failUnproven, ForkError, requireWitnessedIsSigned } from '../domain/checkpoint.ts'
import type { StoredCheckpoint } from '../store/tree/checkpoints.ts'

/** The state of the log that requests depend on. */
export interface LogView {
  /** Returns the size of the largest signed checkpoint in the database. */
  newestSigned: () => Promise<number>
  /** Returns the proof that the tree of `size` entries extends the one of `oldSize`, which is not 0. */
  prove: (oldSize: number, size: number) => Promise<Buffer[]>
}

export interface CosignatureRequest {
  checkpoint: StoredCheckpoint
  view: LogView
  timeoutMs: number
}

const ATTEMPTS = 4
const MAX_RESPONSE_BYTES = 64 * 1024
/** The largest accepted difference between the clocks; an older cosignature is a replay. */
const MAX_CLOCK_SKEW_SECONDS = 600

/** A witness and its last known state. */
export class WitnessClient {
  /** The name in the policy. */
  readonly name: string
  readonly cosigner: Verifier
  readonly #url: string
  /** The size that the witness last reported or cosigned. */
  #size: number | undefined
  /** The reason why the witness considers the log forked. */
  rejection: ForkError | undefined
  /** True once the witness has responded in this process without reporting a fork. */
  hasAnswered = false

  constructor(witness: PolicyWitness & { url: string }) {
    this.name = witness.name
    this.#url = `${witness.url}/add-checkpoint`
    this.cosigner = witness.cosigner
  }

  /** Returns the cosignature, a line with its newline; undefined where the witness has already cosigned a larger
   * checkpoint. Throws ForkError where the witness reports a fork. */
  async requestCosignature(request: CosignatureRequest): Promise<string | undefined> {
    try {
      const line = await this.#negotiate(request, AbortSignal.timeout(request.timeoutMs))
      this.hasAnswered = true
      this.rejection = undefined
      return line
    } catch (error) {
      if (error instanceof ForkError) this.rejection = error
      throw error
    }
  }

  /** Repeats the request with the size that the witness reports until both agree on it. */
  async #negotiate({ checkpoint, view }: CosignatureRequest, signal: AbortSignal): Promise<string | undefined> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const oldSize = this.#size ?? 0
      if (oldSize > checkpoint.size) {
        requireWitnessedIsSigned(oldSize, await view.newestSigned(), this.name)
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
      // In an earlier version of the protocol, 409 with the same size means that the roots differ.
      const isUnproven = status === 422 || (size === oldSize && size === checkpoint.size)
      if (isUnproven && oldSize > 0) failUnproven(oldSize, checkpoint.size, this.name)
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
    const response = await fetch(this.#url, { method: 'POST', body, headers, signal, redirect: 'error' })
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.length
      if (bytes > MAX_RESPONSE_BYTES) throw new Error(`response exceeds ${MAX_RESPONSE_BYTES} bytes`)
      chunks.push(chunk)
    }
    return { status: response.status, body: Buffer.concat(chunks).toString() }
  }
}

function formatRequest(oldSize: number, proof: Buffer[], note: string): string {
  return `old ${oldSize}\n${proof.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${note}`
}

function findSize(body: string): number | undefined {
  const digits = /^(0|[1-9][0-9]{0,18})\n$/.exec(body)?.[1]
  return digits === undefined ? undefined : Number(digits)
}
