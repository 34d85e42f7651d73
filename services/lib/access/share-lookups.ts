// One lookup for all calls that present the same token at the same time, so that a caller with a thousand calls costs the
// database no more than one with two.
import type { Caller } from './caller.ts'

interface Shared {
  caller: PromiseWithResolvers<Caller>
  /** Calls that wait for it. */
  waiting: number
  /** Aborted when all of them have left. */
  abandoned: AbortController
}

interface Lane {
  /** The lookup that has not begun, which further calls may join. One that has begun may have read the token already. */
  next: Shared | undefined
}

type LookUp = (tokenHash: Buffer, signal: AbortSignal) => Promise<Caller>

export function shareLookups(lookUp: LookUp): LookUp {
  const lanes = new Map<string, Lane>()
  return (hash, signal) => {
    const key = hash.toString('base64')
    const known = lanes.get(key)
    const lane = known ?? { next: undefined }
    const shared = (lane.next ??= newShared())
    if (!known) {
      lanes.set(key, lane)
      void run(lane, (abandoned) => lookUp(hash, abandoned)).then(() => lanes.delete(key))
    }
    return join(shared, signal)
  }
}

function newShared(): Shared {
  return { caller: Promise.withResolvers(), waiting: 0, abandoned: new AbortController() }
}

async function run(lane: Lane, lookUp: (abandoned: AbortSignal) => Promise<Caller>): Promise<void> {
  for (let shared = lane.next; shared; shared = lane.next) {
    lane.next = undefined
    const { caller, abandoned } = shared
    await lookUp(abandoned.signal).then(caller.resolve, caller.reject)
  }
}

async function join(shared: Shared, signal: AbortSignal): Promise<Caller> {
  const left = Promise.withResolvers<never>()
  const leave = (): void => {
    shared.waiting -= 1
    if (shared.waiting === 0) shared.abandoned.abort(signal.reason)
    left.reject(signal.reason)
  }
  signal.throwIfAborted()
  shared.waiting += 1
  signal.addEventListener('abort', leave, { once: true })
  try {
    return await Promise.race([shared.caller.promise, left.promise])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
