// Records the start and the commit of simple uploads, those that are one stream. Concurrent uploads share a transaction,
// because a commit takes longer than all other work for a small blob.
import type { HandlerContext } from '@connectrpc/connect'
import { forkFor, inTransaction, type Database } from '#lib/store/database.ts'
import { asModelkeepError, translateFault } from '#lib/store/faults.ts'
import { outboxRow } from '#lib/store/outbox.ts'
import { Batcher } from '#lib/process/batcher.ts'
import { accessOf } from '#lib/access/caller.ts'
import type { ShareLimit } from '#lib/server/limits/share-limit.ts'
import type { BlobInit, KnownBlob } from '../store/blobs/blob.ts'
import {
  deleteSimpleUpload,
  applySimpleUploads,
  type SentUpload,
  type SimpleUpload,
} from '../store/uploads/simple-upload.ts'
import { commitBlob, committedEvent } from './commit-blob.ts'

export interface FinishedUpload {
  upload: BlobInit & { id: string }
  context: HandlerContext
}

/** `isExpired`: the upload took too long, and nothing was committed. `blob`: the new blob, if its bytes were new. */
export type CommitResult = { isExpired: true } | { isExpired: false; blob?: KnownBlob }

type Step = { principal: string } & ({ begun: SimpleUpload; sent?: never } | { sent: SentUpload; begun?: never })

/** A simple upload expires if it stores no part for this long. */
export const SIMPLE_EXPIRE_SECONDS = 3600
const MAX_STEPS = 64

export class BlobCommitBatcher {
  readonly #database: Database
  readonly #steps: Batcher<Step, CommitResult | boolean>

  constructor(database: Database, streams: ShareLimit) {
    this.#database = database
    this.#steps = new Batcher({
      maxJobs: MAX_STEPS,
      isJobError,
      work: (steps) => runBatch(database, steps),
      minJobs: () => streams.open / 2,
      holderOf: ({ principal }) => principal,
    })
  }

  /** Records an upload. Returns false, and records nothing, if the namespace has the blob. */
  async begin(upload: SimpleUpload): Promise<boolean> {
    return (await this.#steps.submit({ principal: upload.principal, begun: upload })) === true
  }

  /** Commits the blob of an upload whose object is stored. */
  async finish({ upload, context }: FinishedUpload): Promise<CommitResult> {
    const row = outboxRow(context, committedEvent(upload))
    const { principal } = accessOf(context).caller
    const result = await this.#steps.submit({ principal, sent: { ...upload, row } })
    return typeof result === 'object' ? result : this.#finishKnown({ upload, context })
  }

  /** Commits the blob of an upload whose bytes were already stored. */
  async #finishKnown({ upload, context }: FinishedUpload): Promise<CommitResult> {
    return inTransaction(this.#database, undefined, async (em) => {
      if (!(await deleteSimpleUpload(em, upload.id))) return { isExpired: true }
      await commitBlob(em, context, upload)
      return { isExpired: false }
    })
  }
}

/** After a lost connection nobody knows whether the batch was committed, so no step is retried automatically. */
function isJobError(error: unknown): boolean {
  const reason = asModelkeepError(error)?.reason ?? (error as { reason?: unknown } | undefined)?.reason
  return reason !== 'DEPENDENCY_UNAVAILABLE'
}

/** Returns, for each upload that begins, whether it was recorded; for each that ends, its result, or false if `#finishKnown`
 * must commit it. */
async function runBatch(database: Database, steps: Step[]): Promise<(CommitResult | boolean)[]> {
  const begun = steps.flatMap((step) => step.begun ?? [])
  const sent = steps.flatMap((step) => step.sent ?? [])
  const expireSeconds = SIMPLE_EXPIRE_SECONDS
  const turned = await applySimpleUploads(forkFor(database), { begun, sent, expireSeconds }).catch(translateFault)
  return steps.map((step) => {
    if (step.begun) return turned.begun.has(step.begun.id)
    const { row: _row, ...upload } = step.sent
    if (!turned.sent.has(upload.id)) return { isExpired: true }
    const createTime = turned.sent.get(upload.id)
    if (createTime === undefined) return false
    const blob = { ...upload, createTime, state: 'PRESENT' as const, condemnTime: null, verifyTime: createTime }
    return { isExpired: false, blob }
  })
}
