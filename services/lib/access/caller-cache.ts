// Callers by token, cached for one second, so that a call need not wait for a database or a peer.
import { LRUCache } from 'lru-cache'
import type { Caller } from './caller.ts'

export interface FoundCaller {
  caller: Caller
  /** The expiry time of the token, in milliseconds since 1970. */
  expires: number
}

/** Finds the caller that an API token stands for, by its SHA-256. Throws TOKEN_INVALID or TOKEN_EXPIRED. */
export type LookUpToken = (tokenHash: Buffer, signal: AbortSignal) => Promise<Caller>

export interface CallerCache {
  lookUp: LookUpToken
  /** Clears the cache. Called after a change of tokens or roles in this process. */
  clear: () => void
}

/** A revoked token or role is accepted at most this long, by replicas of the service that revoked it and by its peers. */
const CACHED_MS = 1_000
const CACHED_TOKENS = 10_000

/** Creates the cache. Callers are cached, errors are not. Concurrent calls with the same token share one lookup. */
export function createCallerCache(find: (tokenHash: Buffer) => Promise<FoundCaller>): CallerCache {
  const known = new LRUCache<string, FoundCaller & { until: number }>({ max: CACHED_TOKENS })
  const pending = new Map<string, Promise<FoundCaller>>()
  const load = async (key: string, tokenHash: Buffer): Promise<FoundCaller> => {
    const promise = find(tokenHash)
    pending.set(key, promise)
    try {
      const found = await promise
      // A lookup that began before the cache was cleared may have read what was changed since.
      if (pending.get(key) === promise) {
        known.set(key, { ...found, until: Math.min(Date.now() + CACHED_MS, found.expires) })
      }
      return found
    } finally {
      if (pending.get(key) === promise) pending.delete(key)
    }
  }
  return {
    async lookUp(tokenHash) {
      const key = tokenHash.toString('latin1')
      const cached = known.get(key)
      if (cached && cached.until > Date.now()) return cached.caller
      // The lookup is not cancelled with the call: other calls with the token may wait for it, too.
      const { caller } = await (pending.get(key) ?? load(key, tokenHash))
      return caller
    },
    clear() {
      known.clear()
      pending.clear()
    },
  }
}
