// Parses an event as its producer sends it. A rejected event stays in the producer's outbox, so only events that the log
// cannot store are rejected.
import { toJson, type JsonValue } from '@bufbuild/protobuf'
import type { Timestamp } from '@bufbuild/protobuf/wkt'
import {
  EventSchema,
  Outcome,
  RetentionClass,
  type Actor,
  type Event,
  type Resource,
} from '#gen/modelkeep/audit/v1/event_pb.ts'
import { failField, failLimit } from '#lib/errors/errors.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { MAX_EVENT_BYTES, MAX_PUBLIC_BYTES, MAX_REASON_BYTES, MAX_TEXT_BYTES, type NewEvent } from './event.ts'
import { privateFieldsOf, type Json } from './private.ts'
import { classOf } from './retention.ts'

const TYPE = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+\.v[1-9][0-9]*$/
const METHODS = ['token', 'service', 'none']
const TRACE_ID = /^([0-9a-f]{32})?$/
/** 0001-01-01 and 9999-12-31, in seconds since 1970. */
const TIMES = { from: -62_135_596_800n, to: 253_402_300_799n }

/** Parses an event for the log. Throws FIELD_INVALID or LIMIT_EXCEEDED with the path below `field`. */
export function parseEvent(event: Event, field: string, privateDetails: readonly string[]): NewEvent {
  const actor = parseActor(event.actor, `${field}.actor`)
  const resource = parseResource(event.resource, `${field}.resource`)
  if (!TYPE.test(event.type)) failField(`${field}.type`, 'must have the form "version.created.v1"')
  if (!TRACE_ID.test(event.traceId)) failField(`${field}.trace_id`, 'must be 32 lower-case hex digits, or empty')
  if (Object.keys(event.commitments).length > 0) failField(`${field}.commitments`, 'must be empty')
  if (event.retentionClass !== RetentionClass.UNSPECIFIED) failField(`${field}.retention_class`, 'must be empty')
  const indexed = {
    id: parseUuid(event.id, `${field}.id`),
    sequence: parseSequence(event.sequence, `${field}.sequence`),
    type: parseText(event.type, `${field}.type`),
    actor: actor.principal,
    outcome: parseOutcome(event.outcome, `${field}.outcome`),
    namespace: resource.namespace,
    resourceType: resource.type,
    resourceId: resource.id,
    resourceName: resource.name,
    resourceDigest: resource.digest,
    requestId: parseText(event.requestId, `${field}.request_id`),
    occurTime: parseTime(event.occurTime, `${field}.occur_time`),
    retentionClass: classOf(event.type),
  }
  parseText(event.reason, `${field}.reason`, MAX_REASON_BYTES)
  const content = parseContent(event, field)
  return { ...indexed, content, privateFields: privateFieldsOf(content, privateDetails, MAX_PUBLIC_BYTES) }
}

function parseActor(actor: Actor | undefined, field: string): Actor {
  if (!actor) failField(field, 'is required')
  if (!METHODS.includes(actor.method)) failField(`${field}.method`, `must be one of ${METHODS.join(', ')}`)
  parseText(actor.principal, `${field}.principal`)
  parseText(actor.credentialId, `${field}.credential_id`)
  return actor
}

function parseResource(resource: Resource | undefined, field: string): Resource {
  if (!resource) failField(field, 'is required')
  if (resource.type === '') failField(`${field}.type`, 'is required')
  if (resource.id === '') failField(`${field}.id`, 'is required')
  for (const name of ['type', 'id', 'namespace', 'name', 'digest'] as const) {
    parseText(resource[name], `${field}.${name}`)
  }
  return resource
}

function parseSequence(sequence: bigint, field: string): number {
  if (sequence < 1n || sequence > BigInt(Number.MAX_SAFE_INTEGER))
    failField(field, `must be from 1 to ${Number.MAX_SAFE_INTEGER}`)
  return Number(sequence)
}

function parseOutcome(outcome: Outcome, field: string): NewEvent['outcome'] {
  if (outcome === Outcome.SUCCEEDED) return 'SUCCEEDED'
  if (outcome === Outcome.DENIED) return 'DENIED'
  failField(field, 'must be OUTCOME_SUCCEEDED or OUTCOME_DENIED')
}

function parseTime(time: Timestamp | undefined, field: string): Timestamp {
  if (!time) failField(field, 'is required')
  const { seconds, nanos } = time
  if (seconds < TIMES.from || seconds > TIMES.to || nanos < 0 || nanos > 999_999_999) {
    failField(field, 'must be in the years 1 to 9999')
  }
  return time
}

/** Returns a text that the database can store and index. */
function parseText(text: string, field: string, limit = MAX_TEXT_BYTES): string {
  if (Buffer.byteLength(text) > limit) failLimit(field, limit, 'bytes')
  if (text.includes('\0')) failField(field, 'must not contain a NUL character')
  return text
}

function parseContent(event: Event, field: string): Json {
  let content: JsonValue
  try {
    content = toJson(EventSchema, event)
  } catch {
    failField(`${field}.details`, 'must be JSON with finite numbers')
  }
  if (Buffer.byteLength(JSON.stringify(content)) > MAX_EVENT_BYTES) failLimit(field, MAX_EVENT_BYTES, 'bytes as JSON')
  return content as Json
}
