// Whether the log tells of all that was erased, and of nothing else; and whether it might be: nothing that a legal hold
// kept, and nothing expired before its time.
import type { LeafEvent } from './event.ts'
import { Tampered } from './verdict.ts'

/** A value that is missing from an export. */
interface ErasedValue {
  /** `12 reason`. */
  name: string
  /** What is needed of its entry's. */
  event: LeafEvent
}

export interface Erasures {
  /** The entry at `by` must tell of this value of `event`. */
  expect(by: number, name: string, event: LeafEvent): void
  /** Each entry in turn. */
  entry(index: number, event: LeafEvent): void
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
    expect(by, name, { resource = {}, retentionClass, recordTime }) {
      const value = { name, event: { resource, retentionClass, recordTime } }
      const others = expected.get(by)
      if (others) others.push(value)
      else expected.set(by, [value])
    },
    entry(index, event) {
      const missing = expected.get(index) ?? NOTHING
      expected.delete(index)
      requireTold(index, event, missing)
      if (event.producer !== 'audit') return
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
function toldBy({ type, producer, details }: LeafEvent): Set<string> | undefined {
  if (producer !== 'audit') return undefined
  if (type === 'event.redacted.v1') return new Set(namesOf(String(details?.['index']), details?.['fields']))
  if (type !== 'values.expired.v1') return undefined
  const values = Object.entries((details?.['values'] ?? {}) as Record<string, unknown>)
  return new Set(values.flatMap(([index, fields]) => namesOf(index, fields)))
}

function namesOf(index: string, fields: unknown): string[] {
  return Array.isArray(fields) ? fields.map((field) => `${index} ${String(field)}`) : []
}
