// Where uploads of the simple lane begin and end in the database: together with the others of the moment, because a
// commit takes longer than all else that is done for a small blob.
import type { HandlerContext } from '@connectrpc/connect'
import { forkFor, inTransaction, type Database } from '#lib/store/database.ts'
import { asModelkeepError } from '#lib/store/faults.ts'
import { Batcher } from '../domain/batcher.ts'
import type { BlobInit, KnownBlob } from '../store/blob.ts'
import { addSimpleUploads, finishSimpleUploads, type SimpleUpload } from '../store/simple-upload.ts'
import { commitBlob, emitCommitted } from './commit-blob.ts'

export interface SimpleLane {
  /** Records an upload. False, and nothing done, where the namespace has the blob. */
  begin: Batcher<SimpleUpload, boolean>
  finish: Batcher<Ending, Ended>
}

interface Ending {
  upload: BlobInit & { id: string }
  context: HandlerContext
}

/** `blob` where the namespace got it by this upload, with bytes that were new. */
type Ended = { isOver: true } | { isOver: false; blob?: KnownBlob }

/** How long a part may take before what was stored counts as left behind. */
export const EXPIRE_SECONDS = 3600
const MOST = 64

export function createSimpleLane(database: Database): SimpleLane {
  const common = { most: MOST, isOfOne }
  return {
    begin: new Batcher({ ...common, work: (uploads) => begin(database, uploads) }),
    finish: new Batcher({ ...common, work: (endings) => finish(database, endings) }),
  }
}

/** Of a connection that was lost it is not known whether all was done: nothing is done twice. */
function isOfOne(error: unknown): boolean {
  return asModelkeepError(error)?.reason !== 'DEPENDENCY_UNAVAILABLE' && !isUnavailable(error)
}

function isUnavailable(error: unknown): boolean {
  return (error as { reason?: unknown } | undefined)?.reason === 'DEPENDENCY_UNAVAILABLE'
}

async function begin(database: Database, uploads: SimpleUpload[]): Promise<boolean[]> {
  const added = await addSimpleUploads(forkFor(database), uploads, EXPIRE_SECONDS)
  return uploads.map(({ id }) => added.has(id))
}

async function finish(database: Database, endings: Ending[]): Promise<Ended[]> {
  const ended = new Map<Ending, Ended>()
  await inTransaction(database, undefined, async (em) => {
    const uploads = endings.map(({ upload }) => upload)
    const finished = await finishSimpleUploads(em, uploads)
    // In one order in every process, so that none waits for another that waits for it.
    for (const ending of endings.toSorted((left, right) => (left.upload.digest < right.upload.digest ? -1 : 1))) {
      const { upload, context } = ending
      const { createTime } = finished.get(upload.id) ?? {}
      if (createTime) {
        emitCommitted(em, context, upload)
        const blob = { ...upload, createTime, state: 'PRESENT' as const, condemnTime: null, verifyTime: createTime }
        ended.set(ending, { isOver: false, blob })
      } else if (finished.has(upload.id)) {
        await commitBlob(em, context, upload)
        ended.set(ending, { isOver: false })
      } else ended.set(ending, { isOver: true })
    }
  })
  return endings.map((ending) => ended.get(ending)!)
}
