// Whether the log tells of all that was erased, and of nothing else; and whether it might be: nothing that a legal hold
// kept, and nothing expired before its time.
import type { LeafEvent } from './event.ts'
import { fieldsOf, pick, show, textOf, timeOf, valueName, type Fields } from './values.ts'
import { Tampered, Unmet } from '../verdict.ts'

/** A value that is missing from an export. */
export interface ErasedValue {
  /** As `valueName` formats it. */
  name: string
  /** The entry that must tell of it. */
  by: number
  of: Bearer
}

/** The event that a value is of. */
export interface Bearer {
  id: string
  namespace: string
  retentionClass: string
  /** In milliseconds. */
  recorded: number
}

/** An event that tells of erasures or holds. */
export interface Told {
  type: string
  /** Of its resource. */
  id: string
  /** In milliseconds. */
  recorded: number
  details: Fields
}

export interface Erasures {
  expect(value: ErasedValue): void
  /** Each in turn. */
  tell(index: number, told: Told): void
  /** Throws where something is left to be told. `size`: how many entries there are. */
  finish(size: number): void
}

const TYPES: unknown[] = ['event.redacted.v1', 'values.expired.v1', 'hold.placed.v1', 'hold.released.v1']

const DETAILS = ['index', 'fields', 'values', 'retentionClass', 'seconds', 'namespace', 'resource_id']

/** Undefined where the event tells of none. */
export function findTold({ producer, type, resource, recordTime, details }: LeafEvent): Told | undefined {
  if (producer !== 'audit' || !TYPES.includes(type)) return undefined
  const id = textOf(fieldsOf(resource)['id'])
  return { type: textOf(type), id, recorded: timeOf(recordTime, NaN), details: pick(fieldsOf(details), DETAILS) }
}

/** What is needed of an event whose values were erased. */
export function bearerOf({ resource, retentionClass, recordTime }: LeafEvent): Bearer {
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

/** Tells `complain` what is wrong. */
export function watchErasures(complain: (wrong: string) => void): Erasures {
  const holds = new Map<string, Hold>()
  const expected = new Map<number, ErasedValue[]>()
  return {
    expect(value) {
      const others = expected.get(value.by)
      if (others) others.push(value)
      else expected.set(value.by, [value])
    },
    tell(index, told) {
      const missing = expected.get(index) ?? NOTHING
      expected.delete(index)
      requireTold(index, told, missing)
      const { type, id, details } = told
      if (type === 'hold.placed.v1') {
        holds.set(id, { namespace: textOf(details['namespace']), resourceId: textOf(details['resource_id']) })
      }
      if (type === 'hold.released.v1') holds.delete(id)
      for (const erased of missing) {
        const wrong = findHold(erased.of, holds) ?? findHaste(erased.of, told)
        if (wrong) complain(`entry ${index}, erasure of ${erased.name}: ${wrong}`)
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

function findHold(bearer: Bearer, holds: Map<string, Hold>): string | undefined {
  for (const [id, { namespace, resourceId }] of holds) {
    const isHeld =
      namespace === '*' ||
      (namespace !== '' && namespace === bearer.namespace) ||
      (resourceId !== '' && resourceId === bearer.id)
    if (isHeld) return `legal hold ${id} protected it`
  }
  return undefined
}

function findHaste(bearer: Bearer, { type, details, recorded }: Told): string | undefined {
  if (type !== 'values.expired.v1') return undefined
  const retentionClass = textOf(details['retentionClass'])
  if (retentionClass === '' || bearer.retentionClass !== retentionClass)
    return `its retention class is not ${retentionClass}`
  const seconds = Number(show(details['seconds']))
  const isOver = seconds > 0 && recorded - bearer.recorded >= seconds * 1000
  return isOver ? undefined : `its retention of ${seconds} seconds had not passed`
}

/** An event of an erasure tells of exactly those values that are missing because of it. */
function requireTold(index: number, told: Told, missing: readonly ErasedValue[]): void {
  const erased = erasedBy(told)
  if (!erased && missing.length === 0) return
  const names = new Set(missing.map(({ name }) => name))
  const untold = missing.find(({ name }) => !erased?.has(name))
  if (untold) throw new Tampered(`entry ${index} does not record the erasure of ${untold.name}`)
  const shown = [...(erased ?? [])].find((name) => !names.has(name))
  if (shown !== undefined)
    throw new Tampered(`entry ${index} records the erasure of ${shown}, but the export still contains it`)
}

/** Undefined where it tells of none. */
function erasedBy({ type, details }: Told): Set<string> | undefined {
  if (type === 'event.redacted.v1') return new Set(namesOf(textOf(details['index']), details['fields']))
  if (type !== 'values.expired.v1') return undefined
  const values = Object.entries(fieldsOf(details['values']))
  return new Set(values.flatMap(([index, fields]) => namesOf(index, fields)))
}

function namesOf(index: string, fields: unknown): string[] {
  return Array.isArray(fields) ? fields.map((field) => valueName(index, textOf(field))) : []
}
