// The verdicts on an export, a proof or a log.

/** The content is not what was signed. The message says what differs, and where. */
export class Tampered extends Error {
  override name = 'Tampered'
}

/** The input is malformed or of another kind, and proves nothing about the log. */
export class Unusable extends Error {
  override name = 'Unusable'
}

/** The content is what was signed, but does not meet a requirement: it is stale, breaks a rule or lacks cosignatures. */
export class Unmet extends Error {
  override name = 'Unmet'
}

/** The log does not answer, which may be temporary. */
export class Unreachable extends Error {
  override name = 'Unreachable'
}
