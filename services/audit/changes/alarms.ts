// Gaps, altered repeats and equivocation of producers: refused, and never passed over in silence.
import { Outcome } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { ModelkeepError } from '#lib/errors/errors.ts'
import { countAlarm, type AlarmKey } from '../store/alarms.ts'
import type { LogDeps } from '../deps.ts'
import { changeWithEvent, OWN_ACTOR, type OwnEvent } from './own-events.ts'

const TYPES = { GAP: 'producer.gap_detected.v1', ALTERED: 'producer.equivocation_detected.v1' } as const

/** Does nothing for other errors. A producer repeats what was refused: only the first time is told. */
export async function raiseAlarm(deps: LogDeps, producer: string, error: unknown): Promise<void> {
  const alarm = error instanceof ModelkeepError ? findAlarm(producer, error) : undefined
  if (!alarm) return
  const { message: detail, metadata } = error as ModelkeepError
  try {
    const isNew = await changeWithEvent(deps, undefined, async (em) => {
      const isNew = await countAlarm(em, { ...alarm, detail })
      return { event: isNew ? eventOf(alarm, metadata) : undefined, answer: isNew }
    })
    if (isNew) deps.logger.error({ alarm: alarm.kind, producer, ...metadata }, `audit alarm: ${detail}`)
  } catch (failure) {
    deps.logger.error({ error: failure, alarm: alarm.kind, producer }, `audit alarm, not recorded: ${detail}`)
  }
}

type Refused = AlarmKey & { kind: keyof typeof TYPES }

function findAlarm(producer: string, { reason, metadata }: ModelkeepError): Refused | undefined {
  if (reason === 'SEQUENCE_GAP') return { kind: 'GAP', producer, subject: metadata['expected']! }
  if (reason === 'EVENT_ALTERED') return { kind: 'ALTERED', producer, subject: metadata['event_id']! }
  return undefined
}

function eventOf({ kind, producer }: Refused, metadata: Record<string, string>): OwnEvent {
  return {
    type: TYPES[kind],
    actor: OWN_ACTOR,
    resource: { type: 'producer', id: producer, namespace: '', name: producer },
    outcome: Outcome.DENIED,
    details: metadata,
  }
}
