// All event types: who records them, when, and the keys of their details. `npm run docs` writes docs/events.md from this
// table. A type that is not listed here cannot be emitted.

export interface EventDescription {
  /** The service that records it; `each` means every service. */
  producer: 'metadata' | 'artifact' | 'audit' | 'each'
  /** Completes "It is recorded when …", or begins with "before". */
  when: string
  /** Keys of the details; those with a question mark are optional. */
  details: readonly string[]
}

const GARBAGE = ['MANIFEST?', 'CONDEMNED?', 'BLOB?', 'OBJECT?', 'UNFINISHED?']
const ROLE = ['principal', 'namespace', 'role']
const VERSION = ['number', 'semver', 'digest']
const RUN = ['size_bytes', 'source_repository', 'source_commit', 'source_dirty', 'run_id', 'parents']
const MEASURED = ['version_id', 'number', 'suite', 'verdict', 'dataset_digest', 'report_digest']
const GATE = ['model_id', 'revision']
const RULES = ['alias_pattern', 'approvals_required', 'approvers', 'conditions', 'expiry_seconds']
const PROMOTION = ['model_id', 'alias', 'number']
const MOVE = ['from', 'to', 'model_id']

export const EVENT_TYPES = {
  'access.denied.v1': {
    producer: 'each',
    when: 'a known caller lacked a permission',
    details: ['permission', 'repeats?'],
  },
  'attempt.failed.v1': {
    producer: 'each',
    when: 'a governed call of a known caller failed for another reason',
    details: ['reason', 'code', 'repeats?'],
  },
  'authentication.failed.v1': {
    producer: 'metadata',
    when: 'a revoked or expired token was used',
    details: ['reason', 'repeats?'],
  },
  'namespace.created.v1': { producer: 'metadata', when: 'a namespace was created', details: [] },
  'namespace.updated.v1': {
    producer: 'metadata',
    when: 'the description of a namespace was updated',
    details: ['fields'],
  },
  'namespace.deleted.v1': { producer: 'metadata', when: 'a namespace was deleted', details: [] },
  'model.created.v1': { producer: 'metadata', when: 'a model was created', details: [] },
  'model.updated.v1': {
    producer: 'metadata',
    when: 'the description, owner or labels of a model were updated',
    details: ['fields'],
  },
  'model.renamed.v1': { producer: 'metadata', when: 'a model was renamed', details: ['from', 'to'] },
  'model.archived.v1': { producer: 'metadata', when: 'a model was archived', details: [] },
  'model.unarchived.v1': { producer: 'metadata', when: 'a model was unarchived', details: [] },
  'model.deleted.v1': { producer: 'metadata', when: 'a model was deleted', details: ['versions', 'latest_number'] },
  'version.created.v1': { producer: 'metadata', when: 'a version was created', details: [...VERSION, ...RUN] },
  'version.updated.v1': {
    producer: 'metadata',
    when: 'the description, labels or card of a version were updated',
    details: ['fields'],
  },
  'version.deleted.v1': { producer: 'metadata', when: 'a version was deleted', details: VERSION },
  'alias.moved.v1': {
    producer: 'metadata',
    when: 'an alias was set, moved or rolled back',
    details: [...MOVE, 'promotion_id?'],
  },
  'alias.removed.v1': { producer: 'metadata', when: 'an alias was removed', details: MOVE },
  'evaluation.created.v1': { producer: 'metadata', when: 'an evaluation of a version was recorded', details: MEASURED },
  'alias.forced.v1': {
    producer: 'metadata',
    when: 'an admin moved or removed an alias past its gates',
    details: [...MOVE, 'gates'],
  },
  'gate.created.v1': { producer: 'metadata', when: 'a gate was created', details: [...GATE, ...RULES] },
  'gate.updated.v1': { producer: 'metadata', when: 'the rules of a gate were replaced', details: [...GATE, ...RULES] },
  'gate.deleted.v1': { producer: 'metadata', when: 'a gate was deleted, or its model or namespace', details: GATE },
  'promotion.requested.v1': {
    producer: 'metadata',
    when: 'a promotion was requested, and the conditions of its gates held',
    details: [...PROMOTION, 'from', 'creator', 'expire_time', 'gates', 'evaluations'],
  },
  'promotion.approved.v1': { producer: 'metadata', when: 'a promotion was approved', details: [...PROMOTION, 'gates'] },
  'promotion.rejected.v1': { producer: 'metadata', when: 'a promotion was rejected', details: PROMOTION },
  'promotion.withdrawn.v1': { producer: 'metadata', when: 'a promotion was withdrawn', details: PROMOTION },
  'promotion.expired.v1': { producer: 'metadata', when: 'a pending promotion expired', details: PROMOTION },
  'promotion.voided.v1': {
    producer: 'metadata',
    when: 'a pending promotion lost its basis: the alias was moved, a gate changed, or the version or model deleted',
    details: [...PROMOTION, 'because'],
  },
  'promotion.applied.v1': {
    producer: 'metadata',
    when: 'a promotion met its gates and moved the alias',
    details: [...PROMOTION, 'from', 'gates', 'evaluations', 'approvers'],
  },
  'role.granted.v1': { producer: 'metadata', when: 'a role was granted or changed', details: [...ROLE, 'before?'] },
  'role.revoked.v1': { producer: 'metadata', when: 'a role was revoked, or its namespace deleted', details: ROLE },
  'token.created.v1': { producer: 'metadata', when: 'a token was created', details: ['principal', 'expire_time'] },
  'token.revoked.v1': { producer: 'metadata', when: 'a token was revoked', details: ['principal'] },
  'blob.committed.v1': { producer: 'artifact', when: 'a namespace got a blob', details: ['sizeBytes'] },
  'blob.read.v1': {
    producer: 'artifact',
    when: 'before bytes of a blob, or a URL to them, are sent (AUDIT_DOWNLOADS=all)',
    details: ['lane', 'offset', 'length'],
  },
  'blob.condemned.v1': {
    producer: 'artifact',
    when: 'an unused blob was condemned',
    details: ['sizeBytes', 'graceSeconds'],
  },
  'blob.revived.v1': { producer: 'artifact', when: 'a condemned blob was used again', details: [] },
  'blob.collected.v1': {
    producer: 'artifact',
    when: 'a blob was removed as garbage',
    details: ['sizeBytes', 'bytesRemoved'],
  },
  'blob.quarantined.v1': {
    producer: 'artifact',
    when: 'stored bytes did not match their digest, or were missing',
    details: ['problem?'],
  },
  'blob.repaired.v1': {
    producer: 'artifact',
    when: 'a quarantined blob matched its digest again',
    details: ['problem?'],
  },
  'manifest.created.v1': {
    producer: 'artifact',
    when: 'a namespace got a manifest',
    details: ['totalSizeBytes', 'fileCount'],
  },
  'manifest.read.v1': {
    producer: 'artifact',
    when: 'before a manifest is sent (AUDIT_DOWNLOADS=manifests or all)',
    details: [],
  },
  'manifest.collected.v1': {
    producer: 'artifact',
    when: 'a manifest was removed as garbage',
    details: ['totalSizeBytes', 'fileCount'],
  },
  'garbage.collected.v1': {
    producer: 'artifact',
    when: 'a caller ran a garbage collection; the number of items by kind',
    details: GARBAGE,
  },
  'orphan.removed.v1': {
    producer: 'artifact',
    when: 'objects unknown to the database were removed',
    details: ['count', 'keys', 'sizeBytes?'],
  },
  'event.redacted.v1': {
    producer: 'audit',
    when: 'private values of an event were erased on request',
    details: ['index', 'fields'],
  },
  'values.expired.v1': {
    producer: 'audit',
    when: 'private values were erased because their retention ended',
    details: ['retentionClass', 'seconds', 'values'],
  },
  'hold.placed.v1': { producer: 'audit', when: 'a legal hold was placed', details: ['namespace', 'resource_id'] },
  'hold.released.v1': { producer: 'audit', when: 'a legal hold was released', details: ['namespace', 'resource_id'] },
  'producer.gap_detected.v1': {
    producer: 'audit',
    when: 'the sequence of a producer had a gap',
    details: ['producer', 'expected', 'got'],
  },
  'producer.equivocation_detected.v1': {
    producer: 'audit',
    when: 'a producer sent an event again with other content',
    details: ['event_id'],
  },
  'producer.clock_skew_detected.v1': {
    producer: 'audit',
    when: 'the clock of a producer or of the log jumped',
    details: ['kind', 'seconds', 'event_id'],
  },
} as const satisfies Record<string, EventDescription>

export type EventType = keyof typeof EVENT_TYPES
