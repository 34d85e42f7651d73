// Records reads in the audit log, as the download policy demands: before the first byte is sent, so that no read goes
// unrecorded. If the event cannot be recorded, the call fails.
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

/** The kinds of reads that each policy records. */
const RECORDED: Record<DownloadPolicy, DownloadAudit[]> = {
  off: [],
  manifests: [DownloadAudit.MANIFESTS],
  all: [DownloadAudit.MANIFESTS, DownloadAudit.ALL],
}

export type ReadMode = 'stream' | 'direct' | 'bytestream'

interface Job {
  init: EventInit
  context: HandlerContext
}

/** The same read by the same caller is recorded once within this time. */
const REPEAT_MS = 60_000
/** Maximum number of remembered reads; a read is recorded again after its eviction. */
const MAX_REMEMBERED = 10_000
/** Maximum number of events per transaction. */
const MAX_BATCH = 64

export class ReadAudit {
  readonly #policy: DownloadPolicy
  readonly #batcher: Batcher<Job, void>
  /** Recorded reads, keyed by caller and read. */
  readonly #recorded = new LRUCache<string, Promise<unknown>>({ ttl: REPEAT_MS, max: MAX_REMEMBERED })

  constructor(database: Database, policy: DownloadPolicy) {
    this.#policy = policy
    // The relay is not woken: its next poll sends many of these events together.
    const work = (jobs: Job[]): Promise<void[]> =>
      inTransaction(database, undefined, async (em) => jobs.map(({ context, init }) => emit(em, context, init)))
    this.#batcher = new Batcher({ work, maxJobs: MAX_BATCH, isJobError: () => false })
  }

  /** Records a read of a manifest of the namespace that access was granted for. */
  recordManifest(context: HandlerContext, digest: string): Promise<void> {
    const resource = manifestResource(accessOf(context).namespace, digest)
    return this.#record(context, { type: 'manifest.read.v1', resource })
  }

  /** Records a read of a blob of the namespace that access was granted for. */
  recordBlob(context: HandlerContext, digest: string, mode: ReadMode, { offset, end }: Range): Promise<void> {
    const resource = blobResource(accessOf(context).namespace, digest)
    const details = { lane: mode, offset: String(offset), length: String(end - offset) }
    return this.#record(context, { type: 'blob.read.v1', resource, details })
  }

  async #record(context: HandlerContext, init: EventInit): Promise<void> {
    if (!RECORDED[this.#policy].includes(accessRuleOf(context.method).download)) return
    const { principal, credentialId } = accessOf(context).caller
    const key = JSON.stringify([principal, credentialId, init.resource.name, init.details])
    const known = this.#recorded.get(key)
    if (known) return void (await known)
    const recording = this.#batcher.submit({ init, context })
    this.#recorded.set(key, recording)
    try {
      await recording
    } catch (error) {
      if (this.#recorded.get(key) === recording) this.#recorded.delete(key)
      throw error
    }
  }
}
