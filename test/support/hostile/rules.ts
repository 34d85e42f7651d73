// The hand-written rules for all fields except texts, keyed by `Message.field`, or by the field name if the rule is the same
// everywhere.
import { count, LONG_MAX, LONG_MIN, ordinal, size, type NumberRule, type Verdict } from './values.ts'

/** The rule of google.bytestream. */
const OUT_OF_RANGE: NumberRule = [-1n, LONG_MIN, LONG_MAX].map((value) => [value, 'RANGE_INVALID'])

export const NUMBER_RULES: Record<string, NumberRule> = {
  page_size: count('allowed'),
  'AliasTarget.number': ordinal('VERSION_NOT_FOUND'),
  'NumberedVersion.number': ordinal('VERSION_NOT_FOUND'),
  'VersionName.number': ordinal('VERSION_NOT_FOUND'),
  'AliasTarget.expected_number': count('ALIAS_MOVED'),
  'RollbackAliasRequest.expected_number': ordinal('ALIAS_MOVED'),
  'RequestPromotionRequest.expected_number': count('ALIAS_MOVED'),
  'GateRules.approvals_required': [...count('refused'), [11, 'refused']],
  'Metric.value': [
    [Number.NaN, 'refused'],
    [Infinity, 'refused'],
    [-Infinity, 'refused'],
    [-0, 'allowed'],
    [1e308, 'allowed'],
  ],
  shape: [
    [-2n, 'refused'],
    [-1n, 'allowed'],
  ],

  'UploadBlobHeader.size_bytes': [...size('refused'), [0n, 'SIZE_MISMATCH']],
  'StartUploadRequest.size_bytes': size('refused'),
  'ManifestFile.size_bytes': [...size('refused'), [0n, 'SIZE_MISMATCH']],
  'DownloadBlobRequest.offset': size('RANGE_INVALID', 'RANGE_INVALID'),
  'DownloadBlobRequest.length': size('allowed', 'allowed'),
  'WritePartHeader.number': ordinal('refused'),
  'PartToSign.number': ordinal('refused'),
  'PartToConfirm.number': ordinal('refused'),
  'PartToConfirm.size_bytes': [-1n, 0n, LONG_MIN, LONG_MAX].map((value) => [value, 'SIZE_MISMATCH']),
  read_offset: OUT_OF_RANGE,
  read_limit: size('allowed', 'allowed'),
  write_offset: size('refused', 'refused'),

  index: size('EVENT_NOT_FOUND'),
  from_index: size('allowed'),
  tree_size: size('TREE_TOO_LARGE'),
  min_size: size('CHECKPOINT_NOT_FOUND'),
  old_size: size('refused'),
  new_size: size('TREE_TOO_LARGE'),
  'ExportEntriesRequest.tree_size': size('CHECKPOINT_NOT_FOUND'),
  'Event.sequence': [[0n, 'refused'], ...size('SEQUENCE_GAP')],
}

/** The verdict by length. */
export const BYTES_RULES: Record<string, [length: number, verdict: Verdict][]> = {
  sha256: [
    [0, 'refused'],
    [31, 'refused'],
    [33, 'refused'],
    [10_000, 'refused'],
  ],
  token_sha256: [
    [0, 'refused'],
    [31, 'refused'],
    [33, 'refused'],
    [32, 'TOKEN_NOT_FOUND'],
  ],
  'UploadBlobRequest.chunk': [[0, 'STREAM_INVALID']],
  'WritePartRequest.chunk': [[0, 'STREAM_INVALID']],
  'WriteRequest.data': [
    [0, 'SIZE_MISMATCH'],
    [10_000, 'SIZE_MISMATCH'],
  ],
}

/** Enums that may be omitted; all others are required. */
export const FREE_ENUMS = ['Dataset.role', 'ListPromotionsRequest.state', 'Event.retention_class']

/** The maximum number of items in a list or map; `empty` is the verdict for none. */
export const LIST_RULES: Record<string, { max?: number; empty: Verdict }> = {
  labels: { max: 64, empty: 'allowed' },
  'FieldMask.paths': { empty: 'refused' },
  targets: { max: 100, empty: 'refused' },
  parameters: { max: 1000, empty: 'allowed' },
  metrics: { max: 1000, empty: 'allowed' },
  'EvaluationFacts.metrics': { max: 100, empty: 'allowed' },
  datasets: { max: 100, empty: 'allowed' },
  parents: { max: 100, empty: 'allowed' },
  inputs: { max: 1000, empty: 'allowed' },
  outputs: { max: 1000, empty: 'allowed' },
  shape: { max: 32, empty: 'allowed' },
  dependencies: { max: 1000, empty: 'allowed' },
  conditions: { max: 20, empty: 'allowed' },
  approvers: { max: 100, empty: 'allowed' },
  digests: { max: 10_000, empty: 'refused' },
  files: { empty: 'refused' },
  'SignPartsRequest.parts': { max: 1000, empty: 'refused' },
  'ConfirmPartsRequest.parts': { max: 1000, empty: 'refused' },
  events: { max: 256, empty: 'refused' },
  fields: { empty: 'allowed' },
  commitments: { max: 0, empty: 'allowed' },
}

/** The verdict for a request without the message; `refused` by default. */
export const ABSENT_RULES: Record<string, Verdict> = {
  message: 'STREAM_INVALID',
  'CreateVersionRequest.facts': 'allowed',
  'VersionFacts.source': 'allowed',
  'VersionFacts.run': 'allowed',
  'VersionFacts.signature': 'allowed',
  'Run.start_time': 'allowed',
  'Run.end_time': 'allowed',
  at_time: 'allowed',
  expiry: 'allowed',
  'EvaluationFacts.dataset': 'allowed',
  'CreateGateRequest.model': 'allowed',
  'ListVersionsRequest.model': 'allowed',
  'ListPromotionsRequest.model': 'allowed',
  'TestGateRequest.rules': 'allowed',
  'Event.details': 'EVENT_ALTERED',
}

/** Booleans with a rule; all others may be true or false. */
export const SWITCH_RULES: Record<string, Verdict> = { 'AliasTarget.remove': 'refused' }
