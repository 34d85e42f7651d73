// Checks erasures: the log records exactly those that the export shows, none that a legal hold forbids, and none before
// the end of the retention.
import type { LeafEvent } from './event.ts'
import { fieldsOf, formatValue, pick, textOf, timeOf, valueName, type Fields } from './values.ts'
import { Tampered, Unmet } from '../verdict.ts'

/** A private value that is missing from an export. */
export interface ErasedValue {
  /** The name that `valueName` returns. */
  name: string
  /** The entry that must record the erasure. */
  recordedBy: number
  owner: ValueOwner
}

/** The event that a private value belongs to. */
export interface ValueOwner {
  /** The id of the event's resource. */
  id: string
  namespace: string
  retentionClass: string
  /** The record time in milliseconds. */
  recorded: number
}

/** An event that records an erasure, or places or releases a hold. */
export interface PrivacyEvent {
  type: string
  /** The id of the event's resource. */
  id: string
  /** The record time in milliseconds. */
  recorded: number
  details: Fields
}

export interface Erasures {
  expect(value: ErasedValue): void
  /** Must be called for each privacy event, in the order of the log. Throws Tampered. */
  record(index: number, event: PrivacyEvent): void
  /** Throws Tampered or Unmet if an expected erasure was not recorded. `size`: the number of entries in the export. */
  finish(size: number): void
}

const TYPES: unknown[] = ['event.redacted.v1', 'values.expired.v1', 'hold.placed.v1', 'hold.released.v1']

const DETAILS = ['index', 'fields', 'values', 'retentionClass', 'seconds', 'namespace', 'resource_id']

/** Undefined if the event concerns neither erasures nor holds. */
export function findPrivacyEvent(event: LeafEvent): PrivacyEvent | undefined {
  const { producer, type, resource, recordTime, details } = event
  if (producer !== 'audit' || !TYPES.includes(type)) return undefined
  const id = textOf(fieldsOf(resource)['id'])
  return { type: textOf(type), id, recorded: timeOf(recordTime, NaN), details: pick(fieldsOf(details), DETAILS) }
}

export function ownerOf({ resource, retentionClass, recordTime }: LeafEvent): ValueOwner {
  const { id, namespace } = fieldsOf(resource)
  return {
    id: textOf(id),
    namespace: textOf(namespace),
    retentionClass: textOf(retentionClass),
    recorded: timeOf(recordTime, NaN),
  }
}

interface Hold {
  namespace: string
  resourceId: string
}

const NOTHING: readonly ErasedValue[] = []

/** Calls `report` for each erasure that broke a rule. */
export function trackErasures(report: (problem: string) => void): Erasures {
  const holds = new Map<string, Hold>()
  const expected = new Map<number, ErasedValue[]>()
  return {
    expect(value) {
      const others = expected.get(value.recordedBy)
      if (others) others.push(value)
      else expected.set(value.recordedBy, [value])
    },
    record(index, event) {
      const missing = expected.get(index) ?? NOTHING
      expected.delete(index)
      requireRecorded(index, event, missing)
      const { type, id, details } = event
      if (type === 'hold.placed.v1') {
        holds.set(id, { namespace: textOf(details['namespace']), resourceId: textOf(details['resource_id']) })
      }
      if (type === 'hold.released.v1') holds.delete(id)
      for (const erased of missing) {
        const problem = findHold(erased.owner, holds) ?? findPrematureExpiry(erased.owner, event)
        if (problem) report(`entry ${index}, erasure of ${erased.name}: ${problem}`)
      }
    },
    finish(size) {
      const beyond: string[] = []
      for (const [index, values] of expected) {
        const names = values.map(({ name }) => name).join(', ')
        if (index < size) throw new Tampered(`entry ${index} does not record the erasure of ${names}`)
        beyond.push(names)
      }
      if (beyond.length === 0) return
      throw new Unmet(`the erasure of ${beyond.join(', ')} is recorded after the last entry; export the log again`)
    },
  }
}

function findHold(owner: ValueOwner, holds: Map<string, Hold>): string | undefined {
  for (const [id, { namespace, resourceId }] of holds) {
    const isHeld =
      namespace === '*' ||
      (namespace !== '' && namespace === owner.namespace) ||
      (resourceId !== '' && resourceId === owner.id)
    if (isHeld) return `legal hold ${id} protected it`
  }
  return undefined
}

function findPrematureExpiry(owner: ValueOwner, { type, details, recorded }: PrivacyEvent): string | undefined {
  if (type !== 'values.expired.v1') return undefined
  const retentionClass = textOf(details['retentionClass'])
  if (retentionClass === '' || owner.retentionClass !== retentionClass)
    return `its retention class is not ${retentionClass}`
  const seconds = Number(formatValue(details['seconds']))
  const isOver = seconds > 0 && recorded - owner.recorded >= seconds * 1000
  return isOver ? undefined : `its retention of ${seconds} seconds had not passed`
}

/** An event that records erasures names exactly the values that are missing because of it. */
function requireRecorded(index: number, event: PrivacyEvent, missing: readonly ErasedValue[]): void {
  const recorded = findErasures(event)
  if (!recorded && missing.length === 0) return
  const names = new Set(missing.map(({ name }) => name))
  const unrecorded = missing.find(({ name }) => !recorded?.has(name))
  if (unrecorded) throw new Tampered(`entry ${index} does not record the erasure of ${unrecorded.name}`)
  const shown = [...(recorded ?? [])].find((name) => !names.has(name))
  if (shown === undefined) return
  throw new Tampered(`entry ${index} records the erasure of ${shown}, but the export still contains it`)
}

/** The names of the values whose erasure the event records; undefined if it records none. */
function findErasures({ type, details }: PrivacyEvent): Set<string> | undefined {
  if (type === 'event.redacted.v1') return new Set(namesOf(textOf(details['index']), details['fields']))
  if (type !== 'values.expired.v1') return undefined
  const values = Object.entries(fieldsOf(details['values']))
  return new Set(values.flatMap(([index, fields]) => namesOf(index, fields)))
}

function namesOf(index: string, fields: unknown): string[] {
  return Array.isArray(fields) ? fields.map((field) => valueName(index, textOf(field))) : []
}
