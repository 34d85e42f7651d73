// Which way a piece of a transfer takes: straight to and from the store, or through the service; and the other one where
// the first does not work.
import { Code, ConnectError } from '@connectrpc/connect'
import { reasonOf } from '#lib/errors/read-error.ts'
import { CliError } from '../terminal/cli-error.ts'
import { mayPass, retry } from '../connection/retry.ts'
import type { LaneChoice } from './choices.ts'
import { isStoreProblem } from './store-problem.ts'

export interface LaneSettings {
  choice: LaneChoice
  /** How long the store may move no byte. */
  stallMs: number
  /** Whether the store must be asked over TLS, because the server is. */
  secure: boolean
  /** Whether the server is on this machine, so that the store may be, too. */
  local: boolean
}

export interface Ways<T> {
  direct: () => Promise<T>
  /** Tries again by itself what may pass. */
  stream: () => Promise<T>
}

/** After so many failures in a row the store is not tried any more. */
const MAX_STRIKES = 2

export class Lanes {
  readonly settings: LaneSettings
  #offersDirect = true
  #offersStream = true
  #strikes = 0

  constructor(settings: LaneSettings) {
    this.settings = settings
    if (settings.choice === 'stream') this.#offersDirect = false
    if (settings.choice === 'direct') this.#offersStream = false
  }

  get prefersDirect(): boolean {
    return this.#offersDirect && (this.#strikes < MAX_STRIKES || !this.#offersStream)
  }

  /** Whether only the direct lane is left. */
  get needsDirect(): boolean {
    return this.#offersDirect && !this.#offersStream
  }

  /** `streamFirst`: for what is so small that asking for signatures costs more than it gains. */
  async move<T>(signal: AbortSignal, ways: Ways<T>, { streamFirst = false } = {}): Promise<T> {
    if (this.needsDirect) return this.#insist(signal, ways.direct)
    if (this.prefersDirect && !streamFirst) {
      try {
        return await ways.direct()
      } catch (error) {
        signal.throwIfAborted()
        this.#note(error)
      }
    }
    try {
      return await ways.stream()
    } catch (error) {
      if (!this.learnClosed(error)) throw error
      return this.#insist(signal, ways.direct)
    }
  }

  /** Whether a failure says that the server lets bytes take the direct lane only, and this command may do so. */
  learnClosed(error: unknown): boolean {
    if (!isClosed(error, 'stream') || this.settings.choice !== 'auto') return false
    this.#offersStream = false
    this.#offersDirect = true
    return true
  }

  /** Bytes went by the direct lane. */
  succeeded(): void {
    this.#strikes = 0
  }

  /** Learns from a failure of the direct lane; what is not the lane's fault is thrown on. */
  #note(error: unknown): void {
    if (isUnavailable(error)) this.#offersDirect = false
    else if (isStoreProblem(error)) this.#strikes = error.kind === 'unreachable' ? MAX_STRIKES : this.#strikes + 1
    else if (!mayPass(error)) throw error
  }

  async #insist<T>(signal: AbortSignal, direct: () => Promise<T>): Promise<T> {
    try {
      return await retry({ signal }, direct)
    } catch (error) {
      if (!isStoreProblem(error)) throw error
      const asked = this.settings.choice === 'direct'
      const hint = asked
        ? 'Without --lane direct the bytes go through the server.'
        : 'The server allows no other transfer mode.'
      throw new CliError('unavailable', error.rawMessage, { hint, reason: 'CLI_STORE_UNAVAILABLE', cause: error })
    }
  }
}

/** The server has no direct lane; an old one does not even know the question. */
function isUnavailable(error: unknown): boolean {
  if (reasonOf(error)?.reason === 'DIRECT_LANE_UNAVAILABLE' || isClosed(error, 'direct')) return true
  return error instanceof ConnectError && error.code === Code.Unimplemented
}

function isClosed(error: unknown, lane: string): boolean {
  const answer = reasonOf(error)
  return answer?.reason === 'LANE_CLOSED' && answer.metadata['lane'] === lane
}
