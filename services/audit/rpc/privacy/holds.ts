// Legal holds.
import type { HandlerContext } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import type { PlaceHoldRequest, ReleaseHoldRequest } from '#gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { accessOf, ALL_NAMESPACES } from '#lib/access/caller.ts'
import { fail, failField, failLimit } from '#lib/errors/errors.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { forkFor } from '#lib/store/database.ts'
import { toTimestamp } from '#lib/store/time.ts'
import { MAX_TEXT_BYTES } from '../../domain/event.ts'
import * as store from '../../store/private.ts'
import { byCaller, parseGivenReason } from './given.ts'
import type { LogDeps } from '../../deps.ts'
import { changeWithEvent } from '../../changes/own-events.ts'

const MAX_HOLDS = 1_000

export async function placeHold(deps: LogDeps, request: PlaceHoldRequest, context: HandlerContext) {
  accessOf(context).requirePlatform()
  const subject = parseSubject(request.subject)
  const reason = parseGivenReason(request.reason)
  const placer = accessOf(context).caller.principal
  return changeWithEvent(deps, context.signal, async (em) => {
    const row = await store.insertHold(em, { id: uuidv7(), ...subject, reason, placer })
    return { event: tell(row, 'hold.placed.v1', reason, context), answer: { hold: presentHold(row) } }
  })
}

export async function releaseHold(deps: LogDeps, request: ReleaseHoldRequest, context: HandlerContext) {
  accessOf(context).requirePlatform()
  const id = parseUuid(request.id, 'id')
  const reason = parseGivenReason(request.reason)
  return changeWithEvent(deps, context.signal, async (em, log) => {
    const row = await store.findHold(em, id)
    if (!row) fail('HOLD_NOT_FOUND', `hold "${id}" not found`, { hold: id })
    if (row.released) return { event: undefined, answer: {} }
    await store.releaseHold(em, id, log.size)
    return { event: tell(row, 'hold.released.v1', reason, context), answer: {} }
  })
}

export async function listHolds({ database }: LogDeps, context: HandlerContext) {
  accessOf(context).requirePlatform()
  return { holds: (await store.listHolds(forkFor(database, context.signal), MAX_HOLDS)).map(presentHold) }
}

function parseSubject(subject: PlaceHoldRequest['subject']): { namespace: string; resource_id: string } {
  const { case: kind, value: text = '' } = subject
  if (kind === undefined || text === '') failField('subject', 'must have a namespace or a resource_id')
  const field = kind === 'namespace' ? 'namespace' : 'resource_id'
  if (Buffer.byteLength(text) > MAX_TEXT_BYTES) failLimit(field, MAX_TEXT_BYTES, 'bytes')
  if (text.includes('\0')) failField(field, 'must not contain a NUL character')
  return kind === 'namespace' ? { namespace: text, resource_id: '' } : { namespace: '', resource_id: text }
}

function tell(
  row: store.HoldRow,
  type: 'hold.placed.v1' | 'hold.released.v1',
  reason: string,
  context: HandlerContext,
) {
  const { id, namespace, resource_id: resourceId } = row
  const resource = {
    type: 'hold',
    id,
    namespace: namespace === ALL_NAMESPACES ? '' : namespace,
    name: namespace || resourceId,
  }
  return { type, ...byCaller(context), resource, reason, details: { namespace, resource_id: resourceId } }
}

function presentHold({ id, namespace, resource_id: resourceId, reason, placer, place_time: time }: store.HoldRow) {
  return { id, namespace, resourceId, reason, placer, placeTime: toTimestamp(time) }
}
