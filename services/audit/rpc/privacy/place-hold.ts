import type { HandlerContext } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import type { PlaceHoldRequest } from '#gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { failField, failLimit } from '#lib/errors/errors.ts'
import { changeWithEvent } from '../../changes/append-own-event.ts'
import type { LogDeps } from '../../deps.ts'
import { MAX_TEXT_BYTES } from '../../domain/event.ts'
import { insertHold } from '../../store/privacy/holds.ts'
import { parseReason } from './caller-event.ts'
import { holdEvent, presentHold } from './present-hold.ts'

export async function placeHold(deps: LogDeps, request: PlaceHoldRequest, context: HandlerContext) {
  accessOf(context).requirePlatform()
  const subject = parseSubject(request.subject)
  const reason = parseReason(request.reason)
  const placer = accessOf(context).caller.principal
  return changeWithEvent(deps, context.signal, async (em) => {
    const hold = await insertHold(em, { id: uuidv7(), ...subject, reason, placer })
    return { event: holdEvent('hold.placed.v1', hold, reason, context), answer: { hold: presentHold(hold) } }
  })
}

function parseSubject(subject: PlaceHoldRequest['subject']): { namespace: string; resourceId: string } {
  const { case: kind, value: text = '' } = subject
  if (kind === undefined || text === '') failField('subject', 'must have a namespace or a resource_id')
  const field = kind === 'namespace' ? 'namespace' : 'resource_id'
  if (Buffer.byteLength(text) > MAX_TEXT_BYTES) failLimit(field, MAX_TEXT_BYTES, 'bytes')
  if (text.includes('\0')) failField(field, 'must not contain a NUL character')
  return kind === 'namespace' ? { namespace: text, resourceId: '' } : { namespace: '', resourceId: text }
}
