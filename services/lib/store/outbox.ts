// The outbox: events are written in the transaction of the change, and read by the relay.
import { create, fromJson, toJson } from '@bufbuild/protobuf'
import type { JsonObject, JsonValue } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { defineEntity, p } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import { v7 as uuidv7 } from 'uuid'
import { EventSchema, Outcome, ResourceSchema, type Event, type Resource } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { accessOf, requestIdKey, traceIdKey } from '../access/caller.ts'
import type { EventType } from '../events/event-types.ts'
import { refusalEvent, type Refusal } from '../server/refusals.ts'
import type { OutboxReader } from '../events/relay.ts'
import { forkFor, inTransaction, type Database, type EntityManager } from './database.ts'
import { query } from './query.ts'
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

/** Size limit of the log, less producer, sequence and time, which are added when the event is sent. */
const MAX_EVENT_BYTES = 1_000_000

export interface EventInit {
  type: EventType
  /** The trigger of the governed table matches this `id`. */
  resource: { type: string; id: string; namespace: string; name: string; digest?: string }
  reason?: string
  beforeDigest?: string
  afterDigest?: string
  details?: JsonObject
}

/** Adds an event to the transaction: a change by the caller of `context`. */
export function emit(em: EntityManager, context: HandlerContext, init: EventInit): void {
  em.persist(em.create(Outbox, outboxRow(context, init)))
}

/** An outbox row that is still to be inserted. */
export interface OutboxRow {
  eventId: string
  resourceId: string
  event: JsonValue
}

/** Builds the row of an event, for a statement that inserts it together with the change. */
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

/** Adds an event to the transaction: a change by the service itself, under the name `principal`. */
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

/** Records a refusal as an event in its own transaction. */
export async function recordRefusal(database: Database, refusal: Refusal): Promise<void> {
  await inTransaction(database.jobs, undefined, async (em) => {
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
  // An event that the log rejects would block all later ones, so the change fails instead.
  if (Buffer.byteLength(JSON.stringify(json)) > MAX_EVENT_BYTES)
    throw new Error(`event ${event.type} is too large for the log`)
  return { eventId: event.id, resourceId: resource.id, event: json }
}

/** Returns the outbox of a service for its relay. */
export function outboxReader(database: Database, producer: string): OutboxReader {
  const { jobs } = database
  return {
    // Calls read the position when the service fails closed, so the pool of calls is used.
    async position() {
      const [row] = await query<{ last: string; sent: string }>(
        forkFor(database),
        sql`select last_sequence as last, sent_sequence as sent from outbox_counter`,
      )
      return { last: Number(row!.last), sent: Number(row!.sent) }
    },
    claim: (sender, seconds) => claimOutbox(forkFor(jobs), sender, seconds),
    async read(after, limit) {
      const rows = await query<NumberedRow>(
        forkFor(jobs),
        sql`select sequence, event, occur_time from outbox where sequence > ${after} order by sequence limit ${limit}`,
      )
      return rows.map((row) => toEvent(row, producer))
    },
    async markSent(sequence) {
      await query(
        forkFor(jobs),
        sql`update outbox_counter set sent_sequence = ${sequence} where sent_sequence < ${sequence}`,
      )
    },
    prune: () => deleteSent(jobs),
    async release(sender) {
      await query(
        forkFor(jobs),
        sql`update outbox_counter set sender = null, sender_until = null where sender = ${sender}`,
      )
    },
  }
}

/** Returns the sequence of the last sent event; undefined while another replica may send. */
async function claimOutbox(em: EntityManager, sender: string, seconds: number): Promise<number | undefined> {
  const rows = await query<{ sent_sequence: string }>(
    em,
    sql`update outbox_counter set sender = ${sender},
        sender_until = clock_timestamp() + make_interval(secs => ${seconds})
      where sender = ${sender} or sender is null or sender_until < clock_timestamp()
        -- A claim this far ahead means that the clock was set back.
        or sender_until > clock_timestamp() + make_interval(secs => ${seconds}) returning sent_sequence`,
  )
  return rows[0] && Number(rows[0].sent_sequence)
}

interface NumberedRow {
  sequence: string
  event: JsonValue
  occur_time: string
}

function toEvent(row: NumberedRow, producer: string): Event {
  const event = fromJson(EventSchema, row.event)
  event.producer = producer
  event.sequence = BigInt(row.sequence)
  event.occurTime = toTimestamp(row.occur_time)
  return event
}

/** Rows deleted per statement. */
const PRUNE_BATCH = 1_000

/** Deletes sent events after a day, which leaves time for inspection; the log has them for good. */
async function deleteSent(database: Database): Promise<boolean> {
  const removed = await query(
    forkFor(database),
    sql`delete from outbox where occur_time < now() - interval '1 day' and event_id = any(array(
        select event_id from outbox where sequence <= (select sent_sequence from outbox_counter)
          order by sequence limit ${PRUNE_BATCH})) returning 1`,
  )
  return removed.length > 0
}
