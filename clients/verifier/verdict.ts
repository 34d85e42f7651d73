// What can be wrong with an export, a proof or a log.

/** Its content is not what was signed. The message says what, and where. */
export class Tampered extends Error {
  override name = 'Tampered'
}

/** It is something else, and says nothing of the log. */
export class Unusable extends Error {
  override name = 'Unusable'
}

/** It is as it was signed, but not as it was asked for: too old, or against a rule. */
export class Unmet extends Error {
  override name = 'Unmet'
}

/** The log does not answer at present. */
export class Unreachable extends Error {
  override name = 'Unreachable'
}
