// Tells the log who reads what, as the policy asks: before the first byte leaves, so that nothing is read untold. Where
// the event cannot be kept, the call fails.
import type { HandlerContext } from '@connectrpc/connect'
import { LRUCache } from 'lru-cache'
import { DownloadAudit } from '#gen/modelkeep/common/v1/access_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { accessRuleOf } from '#lib/access/method-rules.ts'
import { inTransaction, type Database } from '#lib/store/database.ts'
import { emit, type EventInit } from '#lib/store/outbox.ts'
import { Batcher } from '#lib/process/batcher.ts'
import type { DownloadPolicy } from '../../domain/download-policy.ts'
import type { Range } from '../../domain/range.ts'
import { blobResource, manifestResource } from '../../store/events.ts'

/** Which of the declared reads a policy covers. */
const COVERED: Record<DownloadPolicy, DownloadAudit[]> = {
  off: [],
  manifests: [DownloadAudit.MANIFESTS],
  all: [DownloadAudit.MANIFESTS, DownloadAudit.ALL],
}

export type Lane = 'stream' | 'direct' | 'bytestream'

interface Job {
  init: EventInit
  context: HandlerContext
}

/** A client that asks again and again for the same is told of once in so long. */
const AGAIN_MS = 60_000
/** What is remembered; beyond it, what is oldest is told of again. */
const MOST_REMEMBERED = 10_000
/** Events in one transaction. */
const MOST_AT_ONCE = 64

export class Reads {
  readonly #policy: DownloadPolicy
  readonly #batcher: Batcher<Job, void>
  /** By who and what. */
  readonly #told = new LRUCache<string, Promise<unknown>>({ ttl: AGAIN_MS, max: MOST_REMEMBERED })

  constructor(database: Database, policy: DownloadPolicy) {
    this.#policy = policy
    // The relay is not woken: it looks by itself, and takes many together.
    const work = (jobs: Job[]): Promise<void[]> =>
      inTransaction(database, undefined, async (em) => jobs.map(({ context, init }) => emit(em, context, init)))
    this.#batcher = new Batcher({ work, maxJobs: MOST_AT_ONCE, isJobError: () => false })
  }

  /** Of the namespace that access was asked for. */
  manifest(context: HandlerContext, digest: string): Promise<void> {
    const resource = manifestResource(accessOf(context).namespace, digest)
    return this.#tell(context, { type: 'manifest.read.v1', resource })
  }

  /** Of the namespace that access was asked for. */
  blob(context: HandlerContext, digest: string, lane: Lane, { offset, end }: Range): Promise<void> {
    const resource = blobResource(accessOf(context).namespace, digest)
    const details = { lane, offset: String(offset), length: String(end - offset) }
    return this.#tell(context, { type: 'blob.read.v1', resource, details })
  }

  async #tell(context: HandlerContext, init: EventInit): Promise<void> {
    if (!COVERED[this.#policy].includes(accessRuleOf(context.method).download)) return
    const { principal, credentialId } = accessOf(context).caller
    const key = JSON.stringify([principal, credentialId, init.resource.name, init.details])
    const known = this.#told.get(key)
    if (known) return void (await known)
    const done = this.#batcher.do({ init, context })
    this.#told.set(key, done)
    try {
      await done
    } catch (error) {
      if (this.#told.get(key) === done) this.#told.delete(key)
      throw error
    }
  }
}
