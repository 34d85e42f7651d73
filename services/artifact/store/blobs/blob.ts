// Blobs, and the namespaces that have them. Bytes exist from the moment at which their row does.
import { defineEntity, p } from '@mikro-orm/postgresql'
import { createTimeColumn, timeColumn } from '#lib/store/time.ts'

/** QUARANTINED: the stored bytes are wrong, and are not served. */
export type BytesState = 'PRESENT' | 'QUARANTINED'

const BlobSchema = defineEntity({
  name: 'Blob',
  tableName: 'blob',
  properties: {
    digest: p.text().primary(),
    sizeBytes: p.bigint('number'),
    partSizeBytes: p.bigint('number'),
    /** 32 bytes for each part, in order. */
    partSha256s: p.blob().$type<Buffer>(),
    objectKey: p.text(),
    createTime: createTimeColumn(),
    state: p.string().$type<BytesState>().columnType('text').default('PRESENT'),
    /** The time of the last successful verification; 1970 if a caller has since found wrong bytes. */
    verifyTime: createTimeColumn(),
    /** The end of the claim of the replica that verifies the bytes. */
    verifyingUntil: timeColumn().nullable(),
  },
  uniques: [{ name: 'blob_object_key_unique', properties: ['objectKey'] }],
  indexes: [
    { name: 'blob_verify_time_index', properties: ['verifyTime'] },
    { name: 'blob_quarantined_index', properties: ['verifyTime'], where: "state = 'QUARANTINED'" },
  ],
  checks: [{ name: 'blob_state_check', expression: "state in ('PRESENT', 'QUARANTINED')" }],
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
    /** The start of the lease: when a caller last stored the blob, or received the answer that it is there. */
    leaseTime: createTimeColumn(),
    /** When the blob was condemned; null while it is not. */
    condemnTime: timeColumn().nullable(),
  },
  indexes: [
    { name: 'namespace_blob_digest_index', properties: ['blob'] },
    {
      name: 'namespace_blob_condemn_time_index',
      properties: ['condemnTime'],
      where: 'condemn_time is not null',
    },
  ],
})
/** Each row records that the namespace has the blob. */
export class NamespaceBlob extends NamespaceBlobSchema.class {}
NamespaceBlobSchema.setClass(NamespaceBlob)

/** The bytes of a blob. `createTime` is when the namespace got them. */
export type StoredBlob = Pick<
  Blob,
  'digest' | 'sizeBytes' | 'partSizeBytes' | 'partSha256s' | 'objectKey' | 'createTime'
>

export interface BlobInit extends Omit<StoredBlob, 'createTime'> {
  namespace: string
}

/** A blob as a namespace has it. */
export interface KnownBlob extends StoredBlob {
  /** CONDEMNED: the bytes are right; the blob is removed after the grace time unless it is used before. */
  state: BytesState | 'CONDEMNED'
  condemnTime: string | null
  verifyTime: string
}
