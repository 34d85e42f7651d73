// Retention of private values. The class of an event follows from its type.

export const RETENTION_CLASSES = ['OPERATIONAL', 'SECURITY', 'GOVERNANCE'] as const
export type RetentionClass = (typeof RETENTION_CLASSES)[number]

/** Retention in seconds by class; 0 means without limit. */
export type Retention = Record<RetentionClass, number>

export const FOREVER: Retention = { OPERATIONAL: 0, SECURITY: 0, GOVERNANCE: 0 }

/** Classes by the first word of the event type. */
const CLASSES = new Map<string, RetentionClass>([
  ['blob', 'OPERATIONAL'],
  ['manifest', 'OPERATIONAL'],
  ['garbage', 'OPERATIONAL'],
  ['orphan', 'OPERATIONAL'],
  ['access', 'SECURITY'],
  ['attempt', 'SECURITY'],
  ['authentication', 'SECURITY'],
  ['role', 'SECURITY'],
  ['token', 'SECURITY'],
  ['producer', 'SECURITY'],
])

/** Returns the class of an event type; unknown types have the longest retention, GOVERNANCE. */
export function classOf(type: string): RetentionClass {
  return CLASSES.get(type.slice(0, type.indexOf('.'))) ?? 'GOVERNANCE'
}
