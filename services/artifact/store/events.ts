// Who tells the log of what happens to blobs and manifests, and how they are named there.
import type { EntityManager } from '#lib/store/database.ts'
import { emitAs, type EventInit } from '#lib/store/outbox.ts'

/** Adds an event to the transaction, in the name of whoever lets something happen. */
export type Emit = (em: EntityManager, init: EventInit) => void

/** What the service does by itself. */
export const bySystem: Emit = (em, init) => emitAs(em, 'service:artifact', init)

export function blobResource(namespace: string, digest: string): EventInit['resource'] {
  return { type: 'blob', id: digest, namespace, name: `${namespace}/${digest}`, digest }
}

export function manifestResource(namespace: string, digest: string): EventInit['resource'] {
  return { type: 'manifest', id: digest, namespace, name: `${namespace}/${digest}`, digest }
}
