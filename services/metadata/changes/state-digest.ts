// Digests of what people decided about a resource, so that an event tells which state it began and ended with.
import canonicalize from 'canonicalize'
import { createHash } from 'node:crypto'
import type { Model } from '../store/models/model.ts'
import type { Version } from '../store/versions/version.ts'
import type { Namespace } from '../store/models/namespace.ts'

export function namespaceDigest({ name, description }: Namespace): string {
  return digestOf({ name, description })
}

export function modelDigest({ name, description, owner, labels, state }: Model): string {
  return digestOf({ name, description, owner, labels, state })
}

/** The facts are in it: a version that tells another story has another digest. */
export function versionDigest({ digest, semver, facts, description, labels, modelCard }: Version): string {
  return digestOf({ digest, semver, facts, description, labels, model_card: modelCard })
}

export function digestOf(content: object): string {
  return `sha256:${createHash('sha256').update(canonicalize(content)!).digest('hex')}`
}
