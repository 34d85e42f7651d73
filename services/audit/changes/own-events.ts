// Events of the audit service itself go straight into the log, as those of the producer `audit`.
import { create, fromJson, type MessageInitShape } from '@bufbuild/protobuf'
import { TimestampSchema } from '@bufbuild/protobuf/wkt'
import { v7 as uuidv7 } from 'uuid'
import { EventSchema, type Event } from '#gen/modelkeep/audit/v1/event_pb.ts'
import type { EventType } from '#lib/events/event-types.ts'
import { inTransaction, type EntityManager } from '#lib/store/database.ts'
import { appendToLog, lockLog, type LockedLog } from '../store/append.ts'
import type { LogDeps } from '../deps.ts'
import { parseEvent } from '../rpc/ingest/parse-events.ts'

const PRODUCER = 'audit'
/** Where nobody asked for it. */
export const OWN_ACTOR = { principal: 'service:audit', method: 'service', credentialId: '' }
/** The details of its own events are nobody's secret, and verifiers need them. */
const NO_DETAILS: string[] = []

export type OwnEvent = Omit<
  Exclude<MessageInitShape<typeof EventSchema>, Event>,
  'id' | 'producer' | 'sequence' | 'occurTime' | 'type'
> & { type: EventType }

/** Runs `change` under the lock of the log. The event that it returns is appended with it, at `log.size`; without one,
 * nothing is. */
export async function changeWithEvent<T>(
  { database, tail }: LogDeps,
  signal: AbortSignal | undefined,
  change: (em: EntityManager, log: LockedLog) => Promise<{ event: OwnEvent | undefined; answer: T }>,
): Promise<T> {
  const { size, answer } = await inTransaction(database, signal, async (em) => {
    const log = await lockLog(em, PRODUCER)
    const { event, answer } = await change(em, log)
    if (event) await append(em, log, event)
    return { size: event ? log.size + 1 : log.size, answer }
  })
  tail.grow(size)
  return answer
}

/** Appends an event within a transaction that has appended others. */
export async function appendOwn(em: EntityManager, event: OwnEvent): Promise<void> {
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
  await appendToLog(em, log, [parseEvent(own, 'event', NO_DETAILS)])
}
