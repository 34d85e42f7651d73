// Finds the parts of an upload that need not be read back, because they were hashed on their way to the store.
import { createHash } from 'node:crypto'
import type { Prefix } from '../../domain/running-digest.ts'
import type { Upload, UploadPart } from '../../store/uploads/upload.ts'
import type { Hashed } from './assemble.ts'
import type { Backend } from '../../deps.ts'

export interface HashedPrefix extends Prefix {
  /** Set if the prefix contains all parts. */
  whole: Hashed | undefined
}

/** The prefix counts only if each part was sent to the store once, so that the store cannot have other bytes under its
 * number, and if the hashed parts are the recorded ones. */
export function findPrefix({ digests }: Backend, upload: Upload, parts: UploadPart[], attempts: number): HashedPrefix {
  const isOnce = attempts === parts.length
  const [only] = parts
  if (isOnce && only && parts.length === 1) {
    const sha256 = Buffer.from(only.sha256)
    return { ...noPrefix(), whole: wholeOf(sha256, sha256) }
  }
  const prefix = (isOnce && digests.find(upload.id)?.prefix()) || noPrefix()
  const isRecorded = prefix.sha256s.every((sha256, index) => parts[index] && sha256.equals(parts[index].sha256))
  if (!isRecorded) return { ...noPrefix(), whole: undefined }
  if (prefix.sha256s.length < parts.length) return { ...prefix, whole: undefined }
  const digest = prefix.hash.digest()
  return { ...prefix, whole: wholeOf(digest, parts.length > 0 ? Buffer.concat(prefix.sha256s) : digest) }
}

/** A prefix without parts: everything is read back. */
export function noPrefix(): Prefix {
  return { hash: createHash('sha256'), sha256s: [] }
}

function wholeOf(sha256: Buffer, partSha256s: Buffer): Hashed {
  return { digest: `sha256:${sha256.toString('hex')}`, partSha256s }
}
