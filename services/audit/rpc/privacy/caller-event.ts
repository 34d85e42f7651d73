// The parts of an event that come from the caller of a change.
import type { HandlerContext } from '@connectrpc/connect'
import { Outcome } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { accessOf, requestIdKey, traceIdKey } from '#lib/access/caller.ts'
import { failField, failLimit } from '#lib/errors/errors.ts'
import { MAX_REASON_BYTES } from '../../domain/event.ts'

export function callerEvent(context: HandlerContext) {
  return {
    actor: accessOf(context).actor(),
    outcome: Outcome.SUCCEEDED,
    requestId: context.values.get(requestIdKey),
    traceId: context.values.get(traceIdKey),
  }
}

export function parseReason(reason: string): string {
  if (reason.trim() === '') failField('reason', 'is required')
  if (Buffer.byteLength(reason) > MAX_REASON_BYTES) failLimit('reason', MAX_REASON_BYTES, 'bytes')
  if (reason.includes('\0')) failField('reason', 'must not contain a NUL character')
  return reason
}
