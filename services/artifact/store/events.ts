// Events on blobs and manifests: their actor, and the names of their resources.
import type { EntityManager } from '#lib/store/database.ts'
import { emitAs, type EventInit } from '#lib/store/outbox.ts'

/** Adds an event to the transaction, with the actor of the change. */
export type Emit = (em: EntityManager, init: EventInit) => void

/** The actor is the service itself. */
export const bySystem: Emit = (em, init) => emitAs(em, 'service:artifact', init)

export function blobResource(namespace: string, digest: string): EventInit['resource'] {
  return { type: 'blob', id: digest, namespace, name: `${namespace}/${digest}`, digest }
}

export function manifestResource(namespace: string, digest: string): EventInit['resource'] {
  return { type: 'manifest', id: digest, namespace, name: `${namespace}/${digest}`, digest }
}
