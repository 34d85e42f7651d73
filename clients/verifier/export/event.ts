/** The fields of an event in a leaf that the verifier reads. None of their types is certain. */
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
  /** The record time of the leaf, which stands beside the event. */
  recordTime?: unknown
}

/** Returns an empty event if the leaf contains none. */
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

/** Restores a private value in the event: one detail, or all details. No rule reads other private values. */
export function restoreValue(event: LeafEvent, field: string, value: Buffer): void {
  if (field === DETAILS) event.details = parseJson(value) as Record<string, unknown>
  if (!field.startsWith(`${DETAILS}.`)) return
  event.details = { ...event.details, [field.slice(DETAILS.length + 1)]: parseJson(value) }
}

/** Returns undefined if the value is not JSON. */
function parseJson(value: Buffer): unknown {
  try {
    return JSON.parse(value.toString()) as unknown
  } catch {
    return undefined
  }
}
