/** An event as its leaf has it, as far as verifiers look at it. Nothing about it is certain. */
export interface LeafEvent {
  producer?: unknown
  sequence?: unknown
  type?: unknown
  outcome?: unknown
  occurTime?: unknown
  actor?: undefined | { principal?: unknown; method?: unknown; credentialId?: unknown }
  resource?: undefined | { type?: unknown; id?: unknown; namespace?: unknown; name?: unknown; digest?: unknown }
  beforeDigest?: unknown
  afterDigest?: unknown
  details?: Record<string, unknown>
  commitments?: Record<string, unknown>
  retentionClass?: unknown
  /** The leaf's, which is beside the event. */
  recordTime?: unknown
}

/** Empty where the leaf is no event. */
export function readEvent(leaf: Buffer | string): LeafEvent {
  try {
    const { event, recordTime } = JSON.parse(leaf.toString()) as { event: LeafEvent; recordTime: unknown }
    event.recordTime = recordTime
    return event
  } catch {
    return {}
  }
}

const DETAILS = 'details'

/** Puts one of the details, or all of them, back where they were. What the rules do not look at is left out. */
export function putBack(event: LeafEvent, field: string, value: Buffer): void {
  if (field === DETAILS) event.details = parseJson(value) as Record<string, unknown>
  if (!field.startsWith(`${DETAILS}.`)) return
  event.details = { ...event.details, [field.slice(DETAILS.length + 1)]: parseJson(value) }
}

/** Undefined where it is none. */
function parseJson(value: Buffer): unknown {
  try {
    return JSON.parse(value.toString()) as unknown
  } catch {
    return undefined
  }
}
