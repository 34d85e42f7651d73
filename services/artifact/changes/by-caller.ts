import type { HandlerContext } from '@connectrpc/connect'
import { emit } from '#lib/store/outbox.ts'
import type { Emit } from '../store/events.ts'

/** Events in the name of the caller. */
export function byCaller(context: HandlerContext): Emit {
  return (em, init) => emit(em, context, init)
}
