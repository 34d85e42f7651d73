// Digests of the user-supplied state of a resource. An event has the digests of the states before and after it.
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

type DigestedVersion = Pick<Version, 'digest' | 'semver' | 'facts' | 'description' | 'labels' | 'modelCard'>

/** The digest covers the facts of the version. */
export function versionDigest({ digest, semver, facts, description, labels, modelCard }: DigestedVersion): string {
  return digestOf({ digest, semver, facts, description, labels, model_card: modelCard })
}

export function digestOf(content: object): string {
  return `sha256:${createHash('sha256').update(canonicalize(content)!).digest('hex')}`
}
