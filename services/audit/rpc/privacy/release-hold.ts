import type { HandlerContext } from '@connectrpc/connect'
import type { ReleaseHoldRequest } from '#gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { changeWithEvent } from '../../changes/append-own-event.ts'
import type { LogDeps } from '../../deps.ts'
import { findHold } from '../../store/privacy/holds.ts'
import { parseReason } from './caller-event.ts'
import { holdEvent } from './present-hold.ts'

export async function releaseHold(deps: LogDeps, request: ReleaseHoldRequest, context: HandlerContext) {
  accessOf(context).requirePlatform()
  const id = parseUuid(request.id, 'id')
  const reason = parseReason(request.reason)
  return changeWithEvent(deps, context.signal, async (em, log) => {
    const hold = await findHold(em, id)
    if (!hold) fail('HOLD_NOT_FOUND', `hold "${id}" not found`, { hold: id })
    if (hold.releaseIndex !== null) return { event: undefined, answer: {} }
    hold.releaseIndex = log.size
    await em.flush()
    return { event: holdEvent('hold.released.v1', hold, reason, context), answer: {} }
  })
}
