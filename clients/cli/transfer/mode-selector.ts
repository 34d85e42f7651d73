// Selects the transfer mode for each part: direct to or from the store, or streamed through the service. If one mode fails, the
// other is used.
import { Code, ConnectError } from '@connectrpc/connect'
import { reasonOf } from '#lib/errors/read-error.ts'
import { CliError } from '../terminal/cli-error.ts'
import { isTransient, retry } from '../connection/retry.ts'
import type { TransferMode } from './modes.ts'
import { isStoreError } from './store-error.ts'

export interface TransferSettings {
  mode: TransferMode
  /** The time without a byte after which a request to the store fails. */
  stallMs: number
  /** Whether the store must use TLS, because the server does. */
  secure: boolean
  /** Whether the server is on this machine, in which case the store may have a loopback address. */
  local: boolean
}

export interface ModeActions<T> {
  direct: () => Promise<T>
  /** Retries transient failures itself. */
  stream: () => Promise<T>
}

/** Consecutive failures after which the store is no longer used. */
const MAX_FAILURES = 2

export class ModeSelector {
  readonly settings: TransferSettings
  #offersDirect = true
  #offersStream = true
  #failures = 0

  constructor(settings: TransferSettings) {
    this.settings = settings
    if (settings.mode === 'stream') this.#offersDirect = false
    if (settings.mode === 'direct') this.#offersStream = false
  }

  get prefersDirect(): boolean {
    return this.#offersDirect && (this.#failures < MAX_FAILURES || !this.#offersStream)
  }

  /** Whether direct is the only available mode. */
  get needsDirect(): boolean {
    return this.#offersDirect && !this.#offersStream
  }

  /** Runs the action of the selected mode. `streamFirst`: prefers the stream for parts that are too small for signed URLs. */
  async run<T>(signal: AbortSignal, actions: ModeActions<T>, { streamFirst = false } = {}): Promise<T> {
    if (this.needsDirect) return this.#requireDirect(signal, actions.direct)
    if (this.prefersDirect && !streamFirst) {
      try {
        return await actions.direct()
      } catch (error) {
        signal.throwIfAborted()
        this.#recordFailure(error)
      }
    }
    try {
      return await actions.stream()
    } catch (error) {
      if (!this.recordStreamClosed(error)) throw error
      return this.#requireDirect(signal, actions.direct)
    }
  }

  /** Returns true if the failure says that the server accepts direct transfers only, and this command may use them. */
  recordStreamClosed(error: unknown): boolean {
    if (!isClosed(error, 'stream') || this.settings.mode !== 'auto') return false
    this.#offersStream = false
    this.#offersDirect = true
    return true
  }

  /** Must be called after each successful direct transfer. */
  reportSuccess(): void {
    this.#failures = 0
  }

  /** Records a failure of the transfer mode direct; rethrows failures that it did not cause. */
  #recordFailure(error: unknown): void {
    if (isUnavailable(error)) this.#offersDirect = false
    else if (isStoreError(error)) this.#failures = error.kind === 'unreachable' ? MAX_FAILURES : this.#failures + 1
    else if (!isTransient(error)) throw error
  }

  async #requireDirect<T>(signal: AbortSignal, direct: () => Promise<T>): Promise<T> {
    try {
      return await retry({ signal }, direct)
    } catch (error) {
      if (!isStoreError(error)) throw error
      const isRequested = this.settings.mode === 'direct'
      const hint = isRequested
        ? 'Without --lane direct the bytes go through the server.'
        : 'The server allows no other transfer mode.'
      throw new CliError('unavailable', error.rawMessage, { hint, reason: 'CLI_STORE_UNAVAILABLE', cause: error })
    }
  }
}

/** Whether the server offers no direct transfers; an old server does not implement the RPC. */
function isUnavailable(error: unknown): boolean {
  if (reasonOf(error)?.reason === 'DIRECT_LANE_UNAVAILABLE' || isClosed(error, 'direct')) return true
  return error instanceof ConnectError && error.code === Code.Unimplemented
}

function isClosed(error: unknown, mode: string): boolean {
  const answer = reasonOf(error)
  return answer?.reason === 'LANE_CLOSED' && answer.metadata['lane'] === mode
}
