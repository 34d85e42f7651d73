// Blobs: the row is the point from which the bytes exist.
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { EntityManager } from '#lib/store/database.ts'
import { createTimeColumn } from '#lib/store/time.ts'

const BlobSchema = defineEntity({
  name: 'Blob',
  tableName: 'blob',
  properties: {
    digest: p.text().primary(),
    sizeBytes: p.bigint('number'),
    partSizeBytes: p.bigint('number'),
    /** 32 bytes for each part, in order. */
    partSha256s: p.blob(),
    objectKey: p.text(),
    createTime: createTimeColumn(),
  },
  uniques: [{ name: 'blob_object_key_unique', properties: ['objectKey'] }],
})
export class Blob extends BlobSchema.class {}
BlobSchema.setClass(Blob)

const NamespaceBlobSchema = defineEntity({
  name: 'NamespaceBlob',
  tableName: 'namespace_blob',
  properties: {
    namespace: p.text().primary(),
    blob: () => p.manyToOne(Blob).primary().fieldName('digest').foreignKeyName('namespace_blob_digest_foreign'),
    createTime: createTimeColumn(),
  },
  indexes: [{ name: 'namespace_blob_digest_index', properties: ['blob'] }],
})
/** That a namespace has a blob. */
export class NamespaceBlob extends NamespaceBlobSchema.class {}
NamespaceBlobSchema.setClass(NamespaceBlob)

export interface StoredBlob {
  digest: string
  sizeBytes: number
  partSizeBytes: number
  partSha256s: Buffer
  objectKey: string
  /** When the namespace got it. */
  createTime: string
}

export interface BlobInit {
  namespace: string
  digest: string
  sizeBytes: number
  partSizeBytes: number
  partSha256s: Buffer
  objectKey: string
}

/** The blob if the namespace has it. */
export async function findBlob(em: EntityManager, namespace: string, digest: string): Promise<StoredBlob | undefined> {
  const [row] = await em.execute<BlobRow[]>(
    `select blob.size_bytes, blob.part_size_bytes, blob.part_sha256s, blob.object_key, held.create_time
      from namespace_blob held join blob using (digest) where held.namespace = ? and held.digest = ?`,
    [namespace, digest],
  )
  return (
    row && {
      digest,
      sizeBytes: Number(row.size_bytes),
      partSizeBytes: Number(row.part_size_bytes),
      partSha256s: row.part_sha256s,
      objectKey: row.object_key,
      createTime: row.create_time,
    }
  )
}

interface BlobRow {
  size_bytes: string
  part_size_bytes: string
  part_sha256s: Buffer
  object_key: string
  create_time: string
}

/** The sizes of those of the digests that the namespace has. */
export async function findBlobSizes(
  em: EntityManager,
  namespace: string,
  digests: string[],
): Promise<Map<string, number>> {
  const rows = await em.execute<{ digest: string; size_bytes: string }[]>(
    `select blob.digest, blob.size_bytes from namespace_blob join blob using (digest)
      where namespace = ? and digest in (select jsonb_array_elements_text(?::jsonb))`,
    [namespace, JSON.stringify(digests)],
  )
  return new Map(rows.map(({ digest, size_bytes }) => [digest, Number(size_bytes)]))
}

/** Makes verified bytes the blob of the namespace. Where the bytes were stored before, under another key, the new
 * object is doomed. Returns whether the namespace got the blob by this call. */
export async function addBlob(em: EntityManager, blob: BlobInit): Promise<boolean> {
  const stored = await em.execute<unknown[]>(
    `insert into blob (digest, size_bytes, part_size_bytes, part_sha256s, object_key) values (?, ?, ?, ?, ?)
      on conflict do nothing returning 1`,
    [blob.digest, blob.sizeBytes, blob.partSizeBytes, blob.partSha256s, blob.objectKey],
  )
  if (stored.length === 0) await em.execute('insert into doomed_object (object_key) values (?)', [blob.objectKey])
  const added = await em.execute<unknown[]>(
    'insert into namespace_blob (namespace, digest) values (?, ?) on conflict do nothing returning 1',
    [blob.namespace, blob.digest],
  )
  return added.length > 0
}
