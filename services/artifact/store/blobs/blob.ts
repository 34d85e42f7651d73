// Blobs: the row is the point from which the bytes exist.
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { EntityManager } from '#lib/store/database.ts'
import { createTimeColumn, timeColumn } from '#lib/store/time.ts'
import { keepBlobs } from './blob-lease.ts'
import { ALL_GOES } from '../garbage/doomed-object.ts'
import type { Emit } from '../events.ts'

/** QUARANTINED: what is stored was found not to be what it should be, and is not served. */
export type BytesState = 'PRESENT' | 'QUARANTINED'

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
    state: p.string().$type<BytesState>().columnType('text').default('PRESENT'),
    /** When the bytes in the store were last found to be right; 1970 where somebody got other ones. */
    verifyTime: createTimeColumn(),
    /** Until when a replica has them for itself to verify. */
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
    /** When somebody was last told that it is there: the begin of a lease. */
    leaseTime: createTimeColumn(),
    /** Since when it waits to be removed. */
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

/** A blob as a namespace has it. */
export interface KnownBlob extends StoredBlob {
  state: BytesState | 'CONDEMNED'
  condemnTime: string | null
  verifyTime: string
}

export interface BlobInit {
  namespace: string
  digest: string
  sizeBytes: number
  partSizeBytes: number
  partSha256s: Buffer
  objectKey: string
}

/** The blob if the namespace has it, and its bytes are right as far as is known. It may go at any time unless it is kept. */
export async function findBlob(em: EntityManager, namespace: string, digest: string): Promise<KnownBlob | undefined> {
  const blob = await lookUpBlob(em, namespace, digest)
  return blob?.state === 'QUARANTINED' ? undefined : blob
}

/** The blob if the namespace has it, in whatever state. */
export async function lookUpBlob(em: EntityManager, namespace: string, digest: string): Promise<KnownBlob | undefined> {
  const [row] = await em.execute<BlobRow[]>(
    `select blob.size_bytes, blob.part_size_bytes, blob.part_sha256s, blob.object_key, blob.state, blob.verify_time,
        held.create_time, held.condemn_time
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
      state: row.state === 'PRESENT' && row.condemn_time !== null ? 'CONDEMNED' : row.state,
      condemnTime: row.condemn_time,
      verifyTime: row.verify_time,
    }
  )
}

interface BlobRow {
  size_bytes: string
  part_size_bytes: string
  part_sha256s: Buffer
  object_key: string
  state: BytesState
  verify_time: string
  create_time: string
  condemn_time: string | null
}

export interface AddedBlob {
  /** The namespace got it by this call. */
  isNew: boolean
  /** Its bytes were quarantined, and are replaced by these. */
  isRepaired: boolean
}

/** Makes verified bytes the blob of the namespace and gives it a lease. Where the bytes were stored before, under another
 * key, the new object is doomed; unless the old one is quarantined, which is doomed then. */
export async function addBlob(em: EntityManager, emit: Emit, blob: BlobInit): Promise<AddedBlob> {
  const { namespace, digest } = blob
  // The row of the bytes is locked before that of the namespace, here and where garbage is collected.
  const isRepaired = await storeBytes(em, blob)
  const added = await em.execute<unknown[]>(
    'insert into namespace_blob (namespace, digest) values (?, ?) on conflict do nothing returning 1',
    [namespace, digest],
  )
  const isNew = added.length > 0
  if (!isNew) await keepBlobs(em, emit, namespace, [digest])
  return { isNew, isRepaired }
}

/** Leaves the row locked. Returns whether the bytes take the place of quarantined ones. */
async function storeBytes(em: EntityManager, blob: BlobInit): Promise<boolean> {
  const values = [blob.sizeBytes, blob.partSizeBytes, blob.partSha256s, blob.objectKey, blob.digest]
  // Repeated where the row was collected between the two statements.
  for (;;) {
    const stored = await em.execute<unknown[]>(
      `insert into blob (size_bytes, part_size_bytes, part_sha256s, object_key, digest) values (?, ?, ?, ?, ?)
        on conflict do nothing returning 1`,
      values,
    )
    if (stored.length > 0) return false
    const [known] = await em.execute<{ state: BytesState; object_key: string }[]>(
      'select state, object_key from blob where digest = ? for no key update',
      [blob.digest],
    )
    if (!known) continue
    const isRepaired = known.state === 'QUARANTINED'
    if (isRepaired) {
      await em.execute(
        `update blob set size_bytes = ?, part_size_bytes = ?, part_sha256s = ?, object_key = ?, state = 'PRESENT',
          verify_time = now(), verifying_until = null where digest = ?`,
        values,
      )
    }
    const doomed = isRepaired ? known.object_key : blob.objectKey
    await em.execute(`insert into doomed_object (object_key) values (?) ${ALL_GOES}`, [doomed])
    return isRepaired
  }
}

/** The namespaces that have a blob. */
export async function findHolders(em: EntityManager, digest: string): Promise<string[]> {
  const rows = await em.execute<{ namespace: string }[]>(
    'select namespace from namespace_blob where digest = ? order by namespace',
    [digest],
  )
  return rows.map(({ namespace }) => namespace)
}
