// Finds the stored files that a reference or a digest names.
import type { Context } from '../../context.ts'
import { fetchManifest } from '../../pull/manifest.ts'
import { resolveRef } from '../alias/resolve.ts'

export interface StoredFile {
  /** Empty if only a digest was given. */
  path: string
  namespace: string
  digest: string
}

const DIGEST = /^sha256:[0-9a-f]{64}$/

/** Returns each digest once. */
export async function findFiles(context: Context, text: string): Promise<StoredFile[]> {
  if (DIGEST.test(text)) return [{ path: '', namespace: context.namespace, digest: text }]
  const version = await resolveRef(context, text)
  const files = await fetchManifest(context.registry(), version)
  const once = new Map(files.map(({ path, digest }) => [digest, { path, namespace: version.namespace, digest }]))
  return [...once.values()]
}
