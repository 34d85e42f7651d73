// Every type of event there is: who tells it, when, and what its details have. The README's table says the same. A type
// that is not here cannot be told.

export interface EventDescription {
  /** The service, or several where each tells its own. */
  producer: 'metadata' | 'artifact' | 'audit' | 'each'
  /** Completes the sentence «It is told when …». */
  when: string
  /** Keys of the details; those with a question mark are not always there. */
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
    when: 'a known caller was refused for want of a permission',
    details: ['permission', 'repeats?'],
  },
  'attempt.failed.v1': {
    producer: 'each',
    when: 'a change that a known caller asked for was refused for another reason',
    details: ['reason', 'code', 'repeats?'],
  },
  'authentication.failed.v1': {
    producer: 'metadata',
    when: 'a token that is revoked or expired was shown',
    details: ['reason', 'repeats?'],
  },
  'namespace.created.v1': { producer: 'metadata', when: 'a namespace was made', details: [] },
  'namespace.updated.v1': { producer: 'metadata', when: 'its description was changed', details: ['fields'] },
  'namespace.deleted.v1': { producer: 'metadata', when: 'it was deleted', details: [] },
  'model.created.v1': { producer: 'metadata', when: 'a model was made', details: [] },
  'model.updated.v1': { producer: 'metadata', when: 'what may change of it was changed', details: ['fields'] },
  'model.renamed.v1': { producer: 'metadata', when: 'it got another name', details: ['from', 'to'] },
  'model.archived.v1': { producer: 'metadata', when: 'it was archived', details: [] },
  'model.unarchived.v1': { producer: 'metadata', when: 'it came back from the archive', details: [] },
  'model.deleted.v1': { producer: 'metadata', when: 'it was deleted', details: ['versions', 'latest_number'] },
  'version.created.v1': { producer: 'metadata', when: 'a version was registered', details: [...VERSION, ...RUN] },
  'version.updated.v1': { producer: 'metadata', when: 'what may change of it was changed', details: ['fields'] },
  'version.deleted.v1': { producer: 'metadata', when: 'it was deleted', details: VERSION },
  'alias.moved.v1': {
    producer: 'metadata',
    when: 'an alias was set, moved or rolled back',
    details: [...MOVE, 'promotion_id?'],
  },
  'alias.removed.v1': { producer: 'metadata', when: 'it was removed', details: MOVE },
  'evaluation.created.v1': { producer: 'metadata', when: 'a version was measured', details: MEASURED },
  'alias.forced.v1': {
    producer: 'metadata',
    when: 'an admin moved or removed it past its gates',
    details: [...MOVE, 'gates'],
  },
  'gate.created.v1': { producer: 'metadata', when: 'a gate was made', details: [...GATE, ...RULES] },
  'gate.updated.v1': { producer: 'metadata', when: 'its rules were replaced', details: [...GATE, ...RULES] },
  'gate.deleted.v1': { producer: 'metadata', when: 'it was deleted, or its model or namespace', details: GATE },
  'promotion.requested.v1': {
    producer: 'metadata',
    when: 'a move of an alias was asked for, and the conditions of its gates held',
    details: [...PROMOTION, 'from', 'creator', 'expire_time', 'gates', 'evaluations'],
  },
  'promotion.approved.v1': { producer: 'metadata', when: 'somebody approved it', details: [...PROMOTION, 'gates'] },
  'promotion.rejected.v1': { producer: 'metadata', when: 'somebody rejected it', details: PROMOTION },
  'promotion.withdrawn.v1': { producer: 'metadata', when: 'it was taken back', details: PROMOTION },
  'promotion.expired.v1': { producer: 'metadata', when: 'its time was over', details: PROMOTION },
  'promotion.voided.v1': {
    producer: 'metadata',
    when: 'the alias was moved, a gate changed, or version or model deleted',
    details: [...PROMOTION, 'because'],
  },
  'promotion.applied.v1': {
    producer: 'metadata',
    when: 'its gates were met, and the alias moved by it',
    details: [...PROMOTION, 'from', 'gates', 'evaluations', 'approvers'],
  },
  'role.granted.v1': { producer: 'metadata', when: 'a role was given or changed', details: [...ROLE, 'before?'] },
  'role.revoked.v1': { producer: 'metadata', when: 'it was taken, or its namespace deleted', details: ROLE },
  'token.created.v1': { producer: 'metadata', when: 'a token was made', details: ['principal', 'expire_time'] },
  'token.revoked.v1': { producer: 'metadata', when: 'it was revoked', details: ['principal'] },
  'blob.committed.v1': { producer: 'artifact', when: 'a namespace got a blob', details: ['sizeBytes'] },
  'blob.read.v1': {
    producer: 'artifact',
    when: 'its bytes, or a URL to them, were asked for and about to be given (AUDIT_DOWNLOADS=all)',
    details: ['lane', 'offset', 'length'],
  },
  'blob.condemned.v1': { producer: 'artifact', when: 'nothing needed it', details: ['sizeBytes', 'graceSeconds'] },
  'blob.revived.v1': { producer: 'artifact', when: 'it was needed again', details: [] },
  'blob.collected.v1': {
    producer: 'artifact',
    when: 'it was removed as garbage',
    details: ['sizeBytes', 'bytesRemoved'],
  },
  'blob.quarantined.v1': { producer: 'artifact', when: 'its stored bytes were found wrong', details: ['problem?'] },
  'blob.repaired.v1': { producer: 'artifact', when: 'they were right again', details: ['problem?'] },
  'manifest.created.v1': {
    producer: 'artifact',
    when: 'a namespace got a manifest',
    details: ['totalSizeBytes', 'fileCount'],
  },
  'manifest.read.v1': {
    producer: 'artifact',
    when: 'it was asked for and about to be given (AUDIT_DOWNLOADS=manifests or all)',
    details: [],
  },
  'manifest.collected.v1': {
    producer: 'artifact',
    when: 'it was removed as garbage',
    details: ['totalSizeBytes', 'fileCount'],
  },
  'garbage.collected.v1': { producer: 'artifact', when: 'somebody had garbage collected: how many', details: GARBAGE },
  'orphan.removed.v1': {
    producer: 'artifact',
    when: 'objects that nobody knew were removed',
    details: ['count', 'keys', 'sizeBytes?'],
  },
  'event.redacted.v1': {
    producer: 'audit',
    when: 'private values of an event were erased by somebody',
    details: ['index', 'fields'],
  },
  'values.expired.v1': {
    producer: 'audit',
    when: 'private values were erased because their time was over',
    details: ['retentionClass', 'seconds', 'values'],
  },
  'hold.placed.v1': { producer: 'audit', when: 'a legal hold began', details: ['namespace', 'resource_id'] },
  'hold.released.v1': { producer: 'audit', when: 'it ended', details: ['namespace', 'resource_id'] },
  'producer.gap_detected.v1': {
    producer: 'audit',
    when: 'a producer left events out',
    details: ['producer', 'expected', 'got'],
  },
  'producer.equivocation_detected.v1': {
    producer: 'audit',
    when: 'it sent an event again with other content',
    details: ['event_id'],
  },
  'producer.clock_skew_detected.v1': {
    producer: 'audit',
    when: 'a clock jumped: its, or that of the log',
    details: ['kind', 'seconds', 'event_id'],
  },
} as const satisfies Record<string, EventDescription>

export type EventType = keyof typeof EVENT_TYPES
