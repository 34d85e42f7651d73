// Manifests, the blobs they name and the versions that retain them.
import { defineEntity, LockMode, p } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { createTimeColumn } from '#lib/store/time.ts'
import { insertIfAbsent } from '../insert.ts'

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
    /** The start of the lease: when a caller last created the manifest. */
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
/** Each row records that the manifest names the blob. */
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
/** Each row records that the version needs the manifest. */
export class ManifestHold extends ManifestHoldSchema.class {}
ManifestHoldSchema.setClass(ManifestHold)

export type ManifestKey = Pick<Manifest, 'namespace' | 'digest'>
export type Hold = Pick<ManifestHold, 'namespace' | 'digest' | 'versionId'>

export interface ManifestInit extends ManifestKey, Pick<Manifest, 'content' | 'totalSizeBytes' | 'fileCount'> {
  blobDigests: string[]
}

/** Renews the leases of those of the manifests that the namespace has, and returns them. */
export function renewManifests(
  em: EntityManager,
  namespace: string,
  digests: string[],
): Promise<Pick<Manifest, 'digest' | 'createTime'>[]> {
  return query(
    em,
    sql`update manifest set lease_time = now() where namespace = ${namespace} and digest = any(${digests})
      returning digest, create_time as "createTime"`,
  )
}

/** Returns whether the namespace got the manifest by this call. */
export async function addManifest(em: EntityManager, { blobDigests, ...manifest }: ManifestInit): Promise<boolean> {
  if (!(await insertIfAbsent(em, Manifest, manifest))) return false
  const { namespace, digest } = manifest
  await query(
    em,
    sql`insert into manifest_blob (namespace, manifest_digest, blob_digest)
      select distinct ${namespace}::text, ${digest}::text, blob
      from jsonb_array_elements_text(${JSON.stringify(blobDigests)}::jsonb) blob`,
  )
  return true
}

/** Records that a version needs a manifest. Returns undefined if the namespace does not have the manifest. Its row stays
 * locked, so that it is not collected before the transaction ends. */
export async function holdManifest(
  em: EntityManager,
  hold: Hold,
): Promise<Pick<Manifest, 'totalSizeBytes' | 'fileCount'> | undefined> {
  const { namespace, digest } = hold
  const manifest = await em.findOne(
    Manifest,
    { namespace, digest },
    { fields: ['totalSizeBytes', 'fileCount'], lockMode: LockMode.PESSIMISTIC_READ },
  )
  if (!manifest) return undefined
  await insertIfAbsent(em, ManifestHold, hold)
  return manifest
}

export async function releaseManifest(em: EntityManager, hold: Hold): Promise<void> {
  await em.nativeDelete(ManifestHold, hold)
}
