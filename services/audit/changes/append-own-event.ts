// The audit service's own events, which it appends to the log directly, as the producer `audit`.
import { create, fromJson, type MessageInitShape } from '@bufbuild/protobuf'
import { TimestampSchema } from '@bufbuild/protobuf/wkt'
import { v7 as uuidv7 } from 'uuid'
import { EventSchema, type Event } from '#gen/modelkeep/audit/v1/event_pb.ts'
import type { EventType } from '#lib/events/event-types.ts'
import { inTransaction, type EntityManager } from '#lib/store/database.ts'
import type { LogDeps } from '../deps.ts'
import { parseEvent } from '../domain/parse-event.ts'
import { appendToLog, lockLog, type LockedLog } from '../store/log/append.ts'

const PRODUCER = 'audit'
/** The actor of changes that no caller requested. */
export const OWN_ACTOR = { principal: 'service:audit', method: 'service', credentialId: '' }
/** Details of the service's own events stay in the leaf, because verifiers need them. */
const NO_PRIVATE_DETAILS: string[] = []

export type OwnEvent = Omit<
  Exclude<MessageInitShape<typeof EventSchema>, Event>,
  'id' | 'producer' | 'sequence' | 'occurTime' | 'type'
> & { type: EventType }

/** Runs `change` in a transaction, under the lock of the log, and appends the event that it returns at `log.size`.
 * Nothing is appended if it returns none. */
export async function changeWithEvent<T>(
  { database, tail }: LogDeps,
  signal: AbortSignal | undefined,
  change: (em: EntityManager, log: LockedLog) => Promise<{ event: OwnEvent | undefined; answer: T }>,
): Promise<T> {
  const { size, result } = await inTransaction(database, signal, async (em) => {
    const log = await lockLog(em, PRODUCER, signal)
    const { event, answer } = await change(em, log)
    if (event) await append(em, log, event)
    return { size: event ? log.size + 1 : log.size, result: answer }
  })
  tail.recordGrowth(size)
  return result
}

/** Appends an event in a transaction that has already appended others. */
export async function appendOwnEvent(em: EntityManager, event: OwnEvent): Promise<void> {
  await append(em, await lockLog(em, PRODUCER), event)
}

async function append(em: EntityManager, log: LockedLog, event: OwnEvent): Promise<void> {
  const own = create(EventSchema, {
    ...event,
    id: uuidv7(),
    producer: PRODUCER,
    sequence: BigInt(log.nextSequence),
    occurTime: fromJson(TimestampSchema, log.now),
  })
  await appendToLog(em, log, [parseEvent(own, 'event', NO_PRIVATE_DETAILS)])
}
