// Writing events in the transaction of the change, and reading them for the relay.
import { create, fromJson, toJson } from '@bufbuild/protobuf'
import type { JsonObject, JsonValue } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { defineEntity, p } from '@mikro-orm/postgresql'
import { v7 as uuidv7 } from 'uuid'
import { EventSchema, Outcome, ResourceSchema, type Event, type Resource } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { accessOf, requestIdKey, traceIdKey } from '../access/caller.ts'
import type { EventType } from '../events/event-types.ts'
import { refusalEvent, type Refusal } from '../server/refusals.ts'
import type { OutboxReader } from '../events/relay.ts'
import { forkFor, inTransaction, type Database, type EntityManager } from './database.ts'
import { createTimeColumn, toTimestamp } from './time.ts'

const OutboxSchema = defineEntity({
  name: 'Outbox',
  tableName: 'outbox',
  properties: {
    eventId: p.uuid().primary(),
    sequence: p.bigint('number').nullable(),
    transaction: p.string().columnType('xid8').defaultRaw('pg_current_xact_id()'),
    resourceId: p.text(),
    event: p.json<JsonValue>(),
    occurTime: createTimeColumn(),
  },
  indexes: [{ name: 'outbox_transaction_index', properties: ['transaction', 'resourceId'] }],
  uniques: [{ name: 'outbox_sequence_unique', properties: ['sequence'] }],
})
export class Outbox extends OutboxSchema.class {}
OutboxSchema.setClass(Outbox)

const OutboxCounterSchema = defineEntity({
  name: 'OutboxCounter',
  tableName: 'outbox_counter',
  properties: {
    id: p.integer().primary().autoincrement(false).default(1),
    lastSequence: p.bigint('number').defaultRaw('0'),
    sentSequence: p.bigint('number').defaultRaw('0'),
    sender: p.text().nullable(),
    senderUntil: p.string().columnType('timestamptz(6)').nullable(),
  },
  checks: [{ name: 'outbox_counter_id_check', expression: 'id = 1' }],
})
export class OutboxCounter extends OutboxCounterSchema.class {}
OutboxCounterSchema.setClass(OutboxCounter)

export const OUTBOX_ENTITIES = [Outbox, OutboxCounter]

/** The log's limit, less producer, sequence and time, which are added when the event is sent. */
const MAX_EVENT_BYTES = 1_000_000

export interface EventInit {
  type: EventType
  /** `id` is also what the governed row's trigger looks for. */
  resource: { type: string; id: string; namespace: string; name: string; digest?: string }
  reason?: string
  beforeDigest?: string
  afterDigest?: string
  details?: JsonObject
}

/** Adds the event of a change by the caller of `context` to the transaction. */
export function emit(em: EntityManager, context: HandlerContext, init: EventInit): void {
  em.persist(em.create(Outbox, outboxRow(context, init)))
}

/** An event that is still to be inserted. */
export interface OutboxRow {
  eventId: string
  resourceId: string
  event: JsonValue
}

/** The event of a change by the caller of `context`, for a statement that inserts it with the change. */
export function outboxRow(context: HandlerContext, init: EventInit): OutboxRow {
  const event = create(EventSchema, {
    type: init.type,
    actor: accessOf(context).actor(),
    resource: create(ResourceSchema, init.resource),
    reason: init.reason ?? '',
    outcome: Outcome.SUCCEEDED,
    requestId: context.values.get(requestIdKey),
    traceId: context.values.get(traceIdKey),
    beforeDigest: init.beforeDigest ?? '',
    afterDigest: init.afterDigest ?? '',
    ...(init.details ? { details: init.details } : {}),
  })
  return toRow(event)
}

/** Adds the event of something the service did by itself to the transaction. */
export function emitAs(em: EntityManager, principal: string, init: EventInit): void {
  const event = create(EventSchema, {
    type: init.type,
    actor: { principal, method: 'service', credentialId: '' },
    resource: create(ResourceSchema, init.resource),
    reason: init.reason ?? '',
    outcome: Outcome.SUCCEEDED,
    beforeDigest: init.beforeDigest ?? '',
    afterDigest: init.afterDigest ?? '',
    ...(init.details ? { details: init.details } : {}),
  })
  write(em, event)
}

/** Keeps a refusal as an event of its own. */
export async function recordRefusal(database: Database, refusal: Refusal): Promise<void> {
  await inTransaction(database, undefined, async (em) => {
    write(em, create(EventSchema, refusalEvent(refusal)))
    await em.flush()
  })
}

function write(em: EntityManager, event: Event): void {
  em.persist(em.create(Outbox, toRow(event)))
}

function toRow(event: Event): OutboxRow {
  event.id = uuidv7()
  const resource: Resource = event.resource!
  const json = toJson(EventSchema, event)
  // What the log does not take would hold up all events after it: better that this change fails.
  if (Buffer.byteLength(JSON.stringify(json)) > MAX_EVENT_BYTES)
    throw new Error(`event ${event.type} is too large for the log`)
  return { eventId: event.id, resourceId: resource.id, event: json }
}

/** The relay's view of a service's outbox. */
export function outboxReader(database: Database, producer: string): OutboxReader {
  return {
    async position() {
      const [row] = await forkFor(database).execute<{ last: string; sent: string }[]>(
        'select last_sequence as last, sent_sequence as sent from outbox_counter',
      )
      return { last: Number(row!.last), sent: Number(row!.sent) }
    },
    /** Takes or keeps the right to send for `seconds`; undefined while another replica has it. */
    async claim(sender, seconds) {
      const rows = await forkFor(database).execute<{ sent_sequence: string }[]>(
        `update outbox_counter set sender = ?, sender_until = clock_timestamp() + make_interval(secs => ?)
          where sender = ? or sender is null or sender_until < clock_timestamp()
            -- The clock was set back since: nobody claims for so long.
            or sender_until > clock_timestamp() + make_interval(secs => ?) returning sent_sequence`,
        [sender, seconds, sender, seconds],
      )
      return rows[0] && Number(rows[0].sent_sequence)
    },
    async read(after, limit) {
      const rows = await forkFor(database).execute<{ sequence: string; event: JsonValue; occur_time: string }[]>(
        'select sequence, event, occur_time from outbox where sequence > ? order by sequence limit ?',
        [after, limit],
      )
      return rows.map((row) => {
        const event = fromJson(EventSchema, row.event)
        event.producer = producer
        event.sequence = BigInt(row.sequence)
        event.occurTime = toTimestamp(row.occur_time)
        return event
      })
    },
    async markSent(sequence) {
      await forkFor(database).execute('update outbox_counter set sent_sequence = ? where sent_sequence < ?', [
        sequence,
        sequence,
      ])
    },
    prune: () => removeSent(database),
    async release(sender) {
      await forkFor(database).execute('update outbox_counter set sender = null, sender_until = null where sender = ?', [
        sender,
      ])
    },
  }
}

/** The others of a day are not read. */
const REMOVED_AT_ONCE = 1_000

/** Sent events stay a day for inspection, then leave the outbox; the log has them for ever. */
async function removeSent(database: Database): Promise<boolean> {
  const removed = await forkFor(database).execute<object[]>(
    `delete from outbox where occur_time < now() - interval '1 day' and event_id = any(array(
        select event_id from outbox where sequence <= (select sent_sequence from outbox_counter)
          order by sequence limit ?)) returning 1`,
    [REMOVED_AT_ONCE],
  )
  return removed.length > 0
}
