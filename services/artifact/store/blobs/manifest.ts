// Manifests, the blobs they name and the versions that hold them.
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { EntityManager } from '#lib/store/database.ts'
import { createTimeColumn } from '#lib/store/time.ts'

const ManifestSchema = defineEntity({
  name: 'Manifest',
  tableName: 'manifest',
  properties: {
    namespace: p.text().primary(),
    digest: p.text().primary(),
    content: p.blob(),
    totalSizeBytes: p.bigint('bigint'),
    fileCount: p.integer(),
    createTime: createTimeColumn(),
    /** When somebody last wrote it: the begin of a lease. */
    leaseTime: createTimeColumn(),
  },
})
export class Manifest extends ManifestSchema.class {}
ManifestSchema.setClass(Manifest)

const ManifestBlobSchema = defineEntity({
  name: 'ManifestBlob',
  tableName: 'manifest_blob',
  properties: {
    namespace: p.text().primary(),
    manifestDigest: p.text().primary(),
    blobDigest: p.text().primary(),
  },
  indexes: [{ name: 'manifest_blob_blob_digest_index', properties: ['namespace', 'blobDigest'] }],
})
/** That a manifest names a blob. */
export class ManifestBlob extends ManifestBlobSchema.class {}
ManifestBlobSchema.setClass(ManifestBlob)

const ManifestHoldSchema = defineEntity({
  name: 'ManifestHold',
  tableName: 'manifest_hold',
  properties: {
    namespace: p.text().primary(),
    digest: p.text().primary(),
    versionId: p.uuid().primary(),
    createTime: createTimeColumn(),
  },
})
/** That a version needs a manifest. */
export class ManifestHold extends ManifestHoldSchema.class {}
ManifestHoldSchema.setClass(ManifestHold)

export interface ManifestInit {
  namespace: string
  digest: string
  content: Buffer
  totalSizeBytes: bigint
  fileCount: number
  blobDigests: string[]
}

/** Begins the lease of a manifest anew. Undefined where the namespace has none. */
export async function keepManifest(em: EntityManager, key: { namespace: string; digest: string }) {
  const kept = await em.execute<unknown[]>(
    'update manifest set lease_time = now() where namespace = ? and digest = ? returning 1',
    [key.namespace, key.digest],
  )
  return kept.length > 0 ? em.findOneOrFail(Manifest, key) : undefined
}

/** Returns whether the namespace got the manifest by this call. */
export async function addManifest(em: EntityManager, manifest: ManifestInit): Promise<boolean> {
  const { namespace, digest, content, totalSizeBytes, fileCount, blobDigests } = manifest
  const added = await em.execute<unknown[]>(
    `insert into manifest (namespace, digest, content, total_size_bytes, file_count) values (?, ?, ?, ?, ?)
      on conflict do nothing returning 1`,
    [namespace, digest, content, String(totalSizeBytes), fileCount],
  )
  if (added.length === 0) return false
  await em.execute(
    `insert into manifest_blob (namespace, manifest_digest, blob_digest)
      select distinct ?, ?, blob from jsonb_array_elements_text(?::jsonb) blob`,
    [namespace, digest, JSON.stringify(blobDigests)],
  )
  return true
}

/** Undefined where the namespace has no such manifest. The row is locked, so that it cannot go meanwhile. */
export async function holdManifest(
  em: EntityManager,
  hold: { namespace: string; digest: string; versionId: string },
): Promise<{ totalSizeBytes: bigint; fileCount: number } | undefined> {
  const { namespace, digest, versionId } = hold
  const [manifest] = await em.execute<{ total_size_bytes: string; file_count: number }[]>(
    'select total_size_bytes, file_count from manifest where namespace = ? and digest = ? for key share',
    [namespace, digest],
  )
  if (!manifest) return undefined
  await em.execute(
    'insert into manifest_hold (namespace, digest, version_id) values (?, ?, ?) on conflict do nothing',
    [namespace, digest, versionId],
  )
  return { totalSizeBytes: BigInt(manifest.total_size_bytes), fileCount: manifest.file_count }
}

export async function releaseManifest(
  em: EntityManager,
  hold: { namespace: string; digest: string; versionId: string },
): Promise<void> {
  await em.nativeDelete(ManifestHold, hold)
}
