// What can be wrong with an export or a proof.

/** Its content is not what was signed. The message says what, and where. */
export class Tampered extends Error {
  override name = 'Tampered'
}

/** It is something else, and says nothing of the log. */
export class Unusable extends Error {
  override name = 'Unusable'
}
