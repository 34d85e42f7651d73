// Whether the log tells of all that was erased, and of nothing else; and whether it might be: nothing that a legal hold
// kept, and nothing expired before its time.
import type { LeafEvent } from './event.ts'
import { Tampered, Unmet } from './verdict.ts'

/** A value that is missing from an export. */
export interface ErasedValue {
  /** `12 reason`. */
  name: string
  /** The entry that must tell of it. */
  by: number
  /** What is needed of its entry's. */
  event: LeafEvent
}

export interface Erasures {
  expect(value: ErasedValue): void
  /** Each event in turn that tells of erasures or holds. */
  tell(index: number, event: LeafEvent): void
  /** Throws where something is left to be told. `size`: how many entries there are. */
  finish(size: number): void
}

const TYPES: unknown[] = ['event.redacted.v1', 'values.expired.v1', 'hold.placed.v1', 'hold.released.v1']

export function tellsOfErasures({ producer, type }: LeafEvent): boolean {
  return producer === 'audit' && TYPES.includes(type)
}

interface Hold {
  namespace: unknown
  resourceId: unknown
}

const NOTHING: readonly ErasedValue[] = []

/** Tells `complain` what is wrong. */
export function watchErasures(complain: (wrong: string) => void): Erasures {
  const holds = new Map<unknown, Hold>()
  const expected = new Map<number, ErasedValue[]>()
  return {
    expect(value) {
      const others = expected.get(value.by)
      if (others) others.push(value)
      else expected.set(value.by, [value])
    },
    tell(index, event) {
      const missing = expected.get(index) ?? NOTHING
      expected.delete(index)
      requireTold(index, event, missing)
      const { details, resource } = event
      if (event.type === 'hold.placed.v1') {
        holds.set(resource?.id, { namespace: details?.['namespace'], resourceId: details?.['resource_id'] })
      }
      if (event.type === 'hold.released.v1') holds.delete(resource?.id)
      for (const erased of missing) {
        const wrong = findHold(erased.event, holds) ?? findHaste(erased.event, event)
        if (wrong) complain(`entry ${index}, the erasure of ${erased.name}: ${wrong}`)
      }
    },
    finish(size) {
      const beyond: string[] = []
      for (const [index, values] of expected) {
        const names = values.map(({ name }) => name).join(', ')
        if (index < size) throw new Tampered(`entry ${index} does not tell of the erasure of ${names}`)
        beyond.push(names)
      }
      if (beyond.length === 0) return
      throw new Unmet(`the erasure of ${beyond.join(', ')} is told after its last entry: export the log again`)
    },
  }
}

function findHold({ resource = {} }: LeafEvent, holds: Map<unknown, Hold>): string | undefined {
  for (const [id, { namespace, resourceId }] of holds) {
    // Canonical JSON leaves out what is empty.
    const isHeld =
      namespace === '*' ||
      (Boolean(namespace) && namespace === resource.namespace) ||
      (Boolean(resourceId) && resourceId === resource.id)
    if (isHeld) return `the legal hold ${String(id)} kept it`
  }
  return undefined
}

function findHaste(event: LeafEvent, { type, details, recordTime }: LeafEvent): string | undefined {
  if (type !== 'values.expired.v1') return undefined
  const retentionClass = String(details?.['retentionClass'])
  if (event.retentionClass !== retentionClass) return `it is not of the class ${retentionClass}`
  const keptMs = Date.parse(String(recordTime)) - Date.parse(String(event.recordTime))
  const seconds = Number(details?.['seconds'])
  return seconds > 0 && keptMs >= seconds * 1000 ? undefined : `its ${seconds} seconds were not over`
}

/** An event of an erasure tells of exactly those values that are missing because of it. */
function requireTold(index: number, event: LeafEvent, missing: readonly ErasedValue[]): void {
  const told = toldBy(event)
  if (!told && missing.length === 0) return
  const names = new Set(missing.map(({ name }) => name))
  const untold = missing.find(({ name }) => !told?.has(name))
  if (untold) throw new Tampered(`entry ${index} does not tell of the erasure of ${untold.name}`)
  const shown = [...(told ?? [])].find((name) => !names.has(name))
  if (shown !== undefined) throw new Tampered(`entry ${index} tells of the erasure of ${shown}, which is still there`)
}

/** Undefined where it tells of none. */
function toldBy({ type, details }: LeafEvent): Set<string> | undefined {
  if (type === 'event.redacted.v1') return new Set(namesOf(String(details?.['index']), details?.['fields']))
  if (type !== 'values.expired.v1') return undefined
  const values = Object.entries((details?.['values'] ?? {}) as Record<string, unknown>)
  return new Set(values.flatMap(([index, fields]) => namesOf(index, fields)))
}

function namesOf(index: string, fields: unknown): string[] {
  return Array.isArray(fields) ? fields.map((field) => `${index} ${String(field)}`) : []
}
