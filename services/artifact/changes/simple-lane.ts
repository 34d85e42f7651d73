// Where uploads of the simple lane begin and end in the database: together with the others of the moment, because a
// commit takes longer than all else that is done for a small blob.
import type { HandlerContext } from '@connectrpc/connect'
import { forkFor, inTransaction, type Database } from '#lib/store/database.ts'
import { asModelkeepError, translateFault } from '#lib/store/faults.ts'
import { outboxRow } from '#lib/store/outbox.ts'
import { Batcher } from '#lib/process/batcher.ts'
import type { StreamLimit } from '../domain/stream-limit.ts'
import type { BlobInit, KnownBlob } from '../store/blobs/blob.ts'
import {
  forgetSimpleUpload,
  turnSimpleUploads,
  type SentUpload,
  type SimpleUpload,
} from '../store/uploads/simple-upload.ts'
import { commitBlob, committedEvent } from './commit-blob.ts'

export interface Ending {
  upload: BlobInit & { id: string }
  context: HandlerContext
}

/** `blob` where the namespace got it by this upload, with bytes that were new. */
export type Ended = { isOver: true } | { isOver: false; blob?: KnownBlob }

type Step = { begun: SimpleUpload; sent?: never } | { sent: SentUpload; begun?: never }

/** How long a part may take before what was stored counts as left behind. */
export const EXPIRE_SECONDS = 3600
const MOST = 64

export class SimpleLane {
  readonly #database: Database
  readonly #steps: Batcher<Step, Ended | boolean>

  constructor(database: Database, streams: StreamLimit) {
    this.#database = database
    this.#steps = new Batcher({
      maxJobs: MOST,
      isJobError,
      work: (steps) => turn(database, steps),
      minJobs: () => streams.open / 2,
    })
  }

  /** Records an upload. False, and nothing done, where the namespace has the blob. */
  async begin(upload: SimpleUpload): Promise<boolean> {
    return (await this.#steps.do({ begun: upload })) === true
  }

  async finish({ upload, context }: Ending): Promise<Ended> {
    const row = outboxRow(context, committedEvent(upload))
    const ended = await this.#steps.do({ sent: { ...upload, row } })
    return typeof ended === 'object' ? ended : this.#finishKnown({ upload, context })
  }

  /** Its bytes were stored before. */
  async #finishKnown({ upload, context }: Ending): Promise<Ended> {
    return inTransaction(this.#database, undefined, async (em) => {
      if (!(await forgetSimpleUpload(em, upload.id))) return { isOver: true }
      await commitBlob(em, context, upload)
      return { isOver: false }
    })
  }
}

/** Of a connection that was lost it is not known whether all was done: nothing is done twice. */
function isJobError(error: unknown): boolean {
  const reason = asModelkeepError(error)?.reason ?? (error as { reason?: unknown } | undefined)?.reason
  return reason !== 'DEPENDENCY_UNAVAILABLE'
}

/** Of a beginning whether it was recorded; of an end what came of it, and false where it is yet to be done. */
async function turn(database: Database, steps: Step[]): Promise<(Ended | boolean)[]> {
  const begun = steps.flatMap((step) => step.begun ?? [])
  const sent = steps.flatMap((step) => step.sent ?? [])
  const expireSeconds = EXPIRE_SECONDS
  const turned = await turnSimpleUploads(forkFor(database), { begun, sent, expireSeconds }).catch(translateFault)
  return steps.map((step) => {
    if (step.begun) return turned.begun.has(step.begun.id)
    const { row: _row, ...upload } = step.sent
    if (!turned.sent.has(upload.id)) return { isOver: true }
    const createTime = turned.sent.get(upload.id)
    if (createTime === undefined) return false
    const blob = { ...upload, createTime, state: 'PRESENT' as const, condemnTime: null, verifyTime: createTime }
    return { isOver: false, blob }
  })
}
