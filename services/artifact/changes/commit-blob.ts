// Committing verified bytes as a blob of a namespace, with the event `blob.committed.v1`.
import type { HandlerContext } from '@connectrpc/connect'
import type { EntityManager } from '#lib/store/database.ts'
import { emit, type EventInit } from '#lib/store/outbox.ts'
import { addBlob } from '../store/blobs/add-blob.ts'
import type { BlobInit } from '../store/blobs/blob.ts'
import { blobResource } from '../store/events.ts'
import { emitToHolders } from '../store/blobs/quarantine.ts'
import { byCaller } from './by-caller.ts'

export async function commitBlob(em: EntityManager, context: HandlerContext, blob: BlobInit): Promise<void> {
  const { isNew, isRepaired } = await addBlob(em, byCaller(context), blob)
  if (isRepaired) await emitToHolders(em, blob.digest, 'blob.repaired.v1')
  if (isNew) emit(em, context, committedEvent(blob))
}

export function committedEvent({ namespace, digest, sizeBytes }: BlobInit): EventInit {
  return {
    type: 'blob.committed.v1',
    resource: blobResource(namespace, digest),
    afterDigest: digest,
    details: { sizeBytes: String(sizeBytes) },
  }
}
