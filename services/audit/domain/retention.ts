// How long private values are kept: by a class, which each event has for what its type is about.

export const RETENTION_CLASSES = ['OPERATIONAL', 'SECURITY', 'GOVERNANCE'] as const
export type RetentionClass = (typeof RETENTION_CLASSES)[number]

/** Seconds by class; 0 keeps them for ever. */
export type Retention = Record<RetentionClass, number>

export const FOR_EVER: Retention = { OPERATIONAL: 0, SECURITY: 0, GOVERNANCE: 0 }

/** By the first word of the type. */
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

/** Of whatever is not known here, the longest. */
export function classOf(type: string): RetentionClass {
  return CLASSES.get(type.slice(0, type.indexOf('.'))) ?? 'GOVERNANCE'
}
