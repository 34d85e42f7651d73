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
    /** When the stored bytes were last found right; in 1970 if a caller found them wrong since. */
    verifyTime: createTimeColumn(),
    /** Until then one replica has claimed the bytes for verification. */
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
    /** The begin of the lease: when a caller last stored the blob, or was told that it is there. */
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
/** A row says that the namespace has the blob. */
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
  /** CONDEMNED: the blob is right, and goes at the end of the time of grace unless a caller needs it. */
  state: BytesState | 'CONDEMNED'
  condemnTime: string | null
  verifyTime: string
}
