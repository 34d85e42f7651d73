// Alarms about producers: gaps in their sequences, and events that were altered or sent twice with different content.
import { Outcome } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { ModelkeepError } from '#lib/errors/errors.ts'
import type { LogDeps } from '../deps.ts'
import { countAlarm, type AlarmKey } from '../store/log/alarms.ts'
import { changeWithEvent, OWN_ACTOR, type OwnEvent } from './append-own-event.ts'

const EVENT_TYPES = { GAP: 'producer.gap_detected.v1', ALTERED: 'producer.equivocation_detected.v1' } as const

/** Records an alarm where `error` rejects the events of `producer`, and does nothing for other errors. Only the first
 * alarm of a kind and subject is logged and appended as an event; repeats are counted. */
export async function raiseAlarm(deps: LogDeps, producer: string, error: unknown): Promise<void> {
  const alarm = error instanceof ModelkeepError ? findAlarm(producer, error) : undefined
  if (!alarm) return
  const { message: detail, metadata } = error as ModelkeepError
  try {
    const isNew = await changeWithEvent(deps, undefined, async (em) => {
      const isFirst = await countAlarm(em, { ...alarm, detail })
      return { event: isFirst ? alarmEvent(alarm, metadata) : undefined, answer: isFirst }
    })
    if (isNew) deps.logger.error({ alarm: alarm.kind, producer, ...metadata }, `audit alarm: ${detail}`)
  } catch (failure) {
    deps.logger.error({ error: failure, alarm: alarm.kind, producer }, `audit alarm, not recorded: ${detail}`)
  }
}

type ProducerAlarm = AlarmKey & { kind: keyof typeof EVENT_TYPES }

function findAlarm(producer: string, { reason, metadata }: ModelkeepError): ProducerAlarm | undefined {
  if (reason === 'SEQUENCE_GAP') return { kind: 'GAP', producer, subject: metadata['expected']! }
  if (reason === 'EVENT_ALTERED') return { kind: 'ALTERED', producer, subject: metadata['event_id']! }
  return undefined
}

function alarmEvent({ kind, producer }: ProducerAlarm, metadata: Record<string, string>): OwnEvent {
  return {
    type: EVENT_TYPES[kind],
    actor: OWN_ACTOR,
    resource: { type: 'producer', id: producer, namespace: '', name: producer },
    outcome: Outcome.DENIED,
    details: metadata,
  }
}
