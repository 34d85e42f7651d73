import type { HandlerContext } from '@connectrpc/connect'
import type { RedactEventRequest } from '#gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { parseUuid } from '#lib/values/ids.ts'
import type { StoredOpening } from '../../domain/private.ts'
import { findEntry } from '../../store/log/find-entry.ts'
import { findHoldOn } from '../../store/privacy/holds.ts'
import { eraseValues } from '../../store/log/openings.ts'
import { callerEvent, parseReason } from './caller-event.ts'
import type { LogDeps } from '../../deps.ts'
import { changeWithEvent } from '../../changes/append-own-event.ts'
import { failNoEvent } from '../parse-entry-key.ts'

export async function redactEvent(deps: LogDeps, request: RedactEventRequest, context: HandlerContext) {
  accessOf(context).requirePlatform()
  const eventId = parseUuid(request.eventId, 'event_id')
  const reason = parseReason(request.reason)
  return changeWithEvent(deps, context.signal, async (em, log) => {
    const entry = (await findEntry(em, { eventId }, 'all')) ?? failNoEvent()
    const chosen = chooseOpenings(entry.openings, request.fields, eventId)
    const fields = chosen.filter(({ redactIndex }) => redactIndex === null).map(({ field }) => field)
    if (fields.length === 0) {
      const redactIndex = Math.max(...chosen.map((opening) => opening.redactIndex ?? 0))
      return { event: undefined, answer: { redactIndex: BigInt(redactIndex) } }
    }
    const hold = await findHoldOn(em, entry.index)
    if (hold) failHeld(eventId, hold.id)
    await eraseValues(em, entry.index, fields, log.size)
    const { event } = JSON.parse(entry.leaf.toString()) as {
      event: { resource: { namespace?: string; name?: string } }
    }
    const { namespace = '', name = '' } = event.resource
    const redacted = {
      type: 'event.redacted.v1' as const,
      ...callerEvent(context),
      resource: { type: 'event', id: eventId, namespace, name },
      reason,
      details: { index: String(entry.index), fields },
    }
    return { event: redacted, answer: { redactIndex: BigInt(log.size) } }
  })
}

function failHeld(eventId: string, hold: string): never {
  fail('EVENT_HELD', `event "${eventId}" is under legal hold "${hold}"; release the hold first`, { hold })
}

function chooseOpenings(openings: StoredOpening[], fields: string[], eventId: string): StoredOpening[] {
  const missing = fields.find((field) => !openings.some((opening) => opening.field === field))
  if (missing === undefined && openings.length > 0) {
    return fields.length === 0 ? openings : openings.filter(({ field }) => fields.includes(field))
  }
  const field = missing ?? ''
  const what = missing === undefined ? 'no private values' : `no private value "${missing}"`
  fail('EVENT_NOT_PRIVATE', `event "${eventId}" has ${what}`, { event_id: eventId, field })
}
