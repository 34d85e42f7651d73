// A legal hold as callers see it, and as an event names it.
import type { HandlerContext } from '@connectrpc/connect'
import { ALL_NAMESPACES } from '#lib/access/caller.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { OwnEvent } from '../../changes/append-own-event.ts'
import type { Hold } from '../../store/entities.ts'
import { callerEvent } from './caller-event.ts'

export function presentHold({ id, namespace, resourceId, reason, placer, placeTime }: Hold) {
  return { id, namespace, resourceId, reason, placer, placeTime: toTimestamp(placeTime) }
}

/** The event of a hold that was placed or released by the caller. */
export function holdEvent(
  type: 'hold.placed.v1' | 'hold.released.v1',
  { id, namespace, resourceId }: Hold,
  reason: string,
  context: HandlerContext,
): OwnEvent {
  const resource = {
    type: 'hold',
    id,
    namespace: namespace === ALL_NAMESPACES ? '' : namespace,
    name: namespace || resourceId,
  }
  return { type, ...callerEvent(context), resource, reason, details: { namespace, resource_id: resourceId } }
}
