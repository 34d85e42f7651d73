// The monitor: checks a log once, or repeatedly until it was tampered with.
import { setTimeout as sleep } from 'node:timers/promises'
import { VerifierError, failUsage } from '../verifier-error.ts'
import { checkLog, type LogState } from './check-log.ts'
import { withSubject, type Report } from '../verify-file.ts'
import { readTrust, type TrustOptions } from '../read-trust.ts'
import { openTiles } from './tile-source.ts'

export interface WatchOptions extends TrustOptions {
  state: string
  once?: boolean
  every?: string
  staleAfter?: string
  token?: string | undefined
}

const EVERY_SECONDS = 60

/** Calls `report` for each new state of the log. Ends after the first check with `once`, and throws when the log was tampered
 * with. Calls `warn` for a temporary failure, once per kind, and checks again. */
export async function watchLog(
  address: string,
  options: WatchOptions,
  report: (found: Report) => void,
  warn: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const trust = await readTrust(options)
  const every = parseSeconds(options.every, '--every') ?? EVERY_SECONDS
  const staleSeconds = parseSeconds(options.staleAfter, '--stale-after')
  const source = openTiles(address.replace(/\/$/, ''), options.token, signal)
  let warned = ''
  for (;;) {
    try {
      const state = await withSubject(address, () =>
        checkLog({ source, trust, stateFile: options.state, staleSeconds }),
      )
      warned = ''
      if (state.grown !== 0n || options.once) report(reportOf(state))
    } catch (error) {
      const mayPass = error instanceof VerifierError && ['unavailable', 'policy'].includes(error.exit)
      if (options.once || !mayPass) throw error
      if (warned !== error.exit) warn(error.message)
      warned = error.exit
    }
    if (options.once) return
    await sleep(every * 1000, undefined, { signal })
  }
}

function reportOf({ checkpoint, grown }: LogState): Report {
  const { origin, size } = checkpoint
  const root = checkpoint.root.toString('base64')
  const since = grown === undefined ? 'first check' : `${grown} new entries since the last check`
  const lines = [`verified: ${size} entries of ${origin}, root ${root}; ${since}`]
  return { lines, document: { origin, size: String(size), root, ...(grown !== undefined && { grown: String(grown) }) } }
}

function parseSeconds(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined
  if (!/^[1-9][0-9]{0,8}$/.test(text)) failUsage(`${option} "${text}" is not a number of seconds`)
  return Number(text)
}
