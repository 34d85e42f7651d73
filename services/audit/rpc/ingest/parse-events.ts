import type { Event } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { fail, failField, failLimit } from '#lib/errors/errors.ts'
import { MAX_EVENTS, type NewEvent } from '../../domain/event.ts'
import { parseEvent } from '../../domain/parse-event.ts'

/** Parses the events of the calling service. Events of another producer count as denied. */
export function parseEvents(events: Event[], service: string, privateDetails: readonly string[]): NewEvent[] {
  if (events.length === 0) failField('events', 'must have at least one event')
  if (events.length > MAX_EVENTS) failLimit('events', MAX_EVENTS, 'events')
  return events.map((event, position) => {
    const field = `events[${position}]`
    if (event.producer !== service) {
      const message = `denied: ${field}.producer must be "${service}", the calling service`
      fail('PERMISSION_DENIED', message, { permission: 'SERVICE', namespace: '' })
    }
    return parseEvent(event, field, privateDetails)
  })
}
