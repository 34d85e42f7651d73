import type { EnvReader } from '#lib/process/env.ts'
import { readText } from '#lib/process/settings.ts'
import { parsePolicy, PolicyError, type Policy } from '#lib/tlog/policy.ts'

export interface Cosigning {
  /** The witnesses, and how many of them form a quorum. */
  policy: Policy
  /** Timeout per witness request. */
  timeoutMs: number
  /** A checkpoint without a quorum is withheld, instead of published with the cosignatures it has. */
  withhold: boolean
}

/** Returns undefined without AUDIT_POLICY: checkpoints need no cosignatures then. */
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
