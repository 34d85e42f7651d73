// Kills the log, a service that sends to it, and their database under load, again and again. Every acknowledged event must be
// in the log exactly once, and the log must be intact.
import { Code, ConnectError } from '@connectrpc/connect'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { makeEvents } from './audit.ts'
import { checkLog, type Acknowledged } from './kill-verdict.ts'
import { openWorld, VICTIMS, type World } from './kill-world.ts'
import { seededRandom } from './random.ts'
import { grpcClient } from './suite.ts'

export interface KillReport {
  kills: Record<string, number>
  acknowledged: number
  failedCalls: number
  entries: number
  /** One sentence for each violated expectation. */
  violations: string[]
}

export interface KillOptions {
  runs: number
  seed: number
  onLine?: (line: string) => void
}

/** The longest time between two kills. */
const PEACE_MS = 400

export async function runKillMatrix({ runs, seed, onLine = () => undefined }: KillOptions): Promise<KillReport> {
  const random = seededRandom(seed)
  const world = await openWorld()
  const stopping = new AbortController()
  const load = startLoad(world, stopping.signal)
  const kills: Record<string, number> = {}
  try {
    for (let run = 1; run <= runs; run += 1) {
      const victim = random.pick(VICTIMS)
      await sleep(random.below(PEACE_MS))
      await world.victims[victim].kill()
      // The other processes run without the victim for a while.
      await sleep(random.below(PEACE_MS))
      await world.victims[victim].start()
      kills[victim] = (kills[victim] ?? 0) + 1
      if (run % 10 === 0) onLine(`${run} of ${runs} kills, ${load.acknowledged.models.size} models acknowledged`)
    }
    stopping.abort()
    await load.ended
    const { acknowledged } = load
    const { entries, violations } = await checkLog(world, acknowledged)
    const count = acknowledged.models.size + acknowledged.indexes.size
    return { kills, acknowledged: count, failedCalls: load.failed(), entries, violations }
  } finally {
    stopping.abort()
    await load.ended
    await world.stop()
  }
}

interface Load {
  acknowledged: Acknowledged
  failed(): number
  ended: Promise<unknown>
}

/** Creates models by two callers, whose events the relay of the metadata service sends, and sends events of another service
 * as its relay would. */
function startLoad({ addresses, adminToken, artifactToken }: World, stopping: AbortSignal): Load {
  const acknowledged: Acknowledged = { models: new Set(), indexes: new Map() }
  let failures = 0
  const tryOnce = async <T>(call: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await call()
    } catch (error) {
      failures += 1
      const { code } = ConnectError.from(error)
      if (!LOST.includes(code)) throw error
      await sleep(20)
      return undefined
    }
  }
  const models = grpcClient(ModelService, addresses.metadata, adminToken)
  const ingest = grpcClient(IngestService, addresses.audit, artifactToken)
  const makeModels = async (): Promise<void> => {
    while (!stopping.aborted) {
      const request = { name: `m-${randomUUID()}`, requestId: randomUUID() }
      const answer = await tryOnce(() => models.createModel(request, { timeoutMs: 10_000 }))
      if (answer) acknowledged.models.add(answer.model!.id)
    }
  }
  const append = async (): Promise<void> => {
    let next = 1
    while (!stopping.aborted) {
      const events = makeEvents(next, 1 + (next % 7), { producer: 'artifact' })
      for (;;) {
        const answer = await tryOnce(() => ingest.appendEvents({ events }, { timeoutMs: 10_000 }))
        answer?.indexes.forEach((index, at) => acknowledged.indexes.set(Number(index), events[at]!.id))
        if (answer || stopping.aborted) break
      }
      next += events.length
    }
  }
  return { acknowledged, failed: () => failures, ended: Promise.all([makeModels(), makeModels(), append()]) }
}

const LOST = [Code.Unavailable, Code.Aborted, Code.Canceled, Code.Unknown, Code.Internal, Code.DeadlineExceeded]
