// Clock skews of producers and of the log: an alarm and an event, once a day for each clock and kind.
import { Outcome } from '#gen/modelkeep/audit/v1/event_pb.ts'
import type { EntityManager } from '#lib/store/database.ts'
import type { LogDeps } from '../deps.ts'
import { describeSkew, findSkews, type Skew } from '../domain/clock.ts'
import type { NewEvent } from '../domain/event.ts'
import { countAlarm } from '../store/log/alarms.ts'
import type { LockedLog } from '../store/log/append.ts'
import { appendOwnEvent, OWN_ACTOR, type OwnEvent } from './append-own-event.ts'

const DATE_LENGTH = '2026-11-23'.length

/** Records the skews that `events` show, in the transaction that has appended them. Returns those recorded for the first
 * time today: one entry was appended for each. */
export async function recordClockSkews(em: EntityManager, log: LockedLog, events: NewEvent[]): Promise<Skew[]> {
  const { producer, now, clock, lastOccurTime } = log
  const [recordMs, clockMs] = [Date.parse(now), Date.parse(clock)]
  const lastOccurMs = lastOccurTime === null ? undefined : Date.parse(lastOccurTime)
  const recorded: Skew[] = []
  for (const skew of findSkews(events, { producer, clockMs, recordMs, lastOccurMs })) {
    const subject = `${skew.kind} ${now.slice(0, DATE_LENGTH)}`
    const alarm = { kind: 'CLOCK' as const, producer: skew.producer, subject, detail: describeSkew(skew) }
    if (!(await countAlarm(em, alarm))) continue
    await appendOwnEvent(em, skewEvent(skew))
    recorded.push(skew)
  }
  return recorded
}

export function logClockSkew({ logger }: LogDeps, skew: Skew): void {
  logger.error({ alarm: 'CLOCK', ...skew }, `audit alarm: ${describeSkew(skew)}`)
}

function skewEvent({ producer, kind, seconds, eventId }: Skew): OwnEvent {
  return {
    type: 'producer.clock_skew_detected.v1',
    actor: OWN_ACTOR,
    resource: { type: 'producer', id: producer, namespace: '', name: producer },
    outcome: Outcome.SUCCEEDED,
    details: { kind, seconds, event_id: eventId },
  }
}
