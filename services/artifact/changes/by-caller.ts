import type { HandlerContext } from '@connectrpc/connect'
import { emit } from '#lib/store/outbox.ts'
import type { Emit } from '../store/events.ts'

/** Emits events with the caller of the request as their actor. */
export function byCaller(context: HandlerContext): Emit {
  return (em, init) => emit(em, context, init)
}
