// Uploads. Each is recorded before its first byte goes to the store, so that the leftovers of a killed process are found.
import { defineEntity, p, type Opt } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import { createTimeColumn, timeColumn } from '#lib/store/time.ts'

/** The states of an upload that one call at a time completes. */
export type SealedState = 'SEALING' | 'COMPLETING' | 'VERIFYING'
export type UploadState = 'OPEN' | SealedState | 'COMMITTED' | 'ABORTED' | 'EXPIRED' | 'FAILED'
export type UploadFailure = 'DIGEST_MISMATCH' | 'STORE_FORGOT'

export const UNFINISHED: UploadState[] = ['OPEN', 'SEALING', 'COMPLETING', 'VERIFYING']
const UNFINISHED_LIST = `('OPEN', 'SEALING', 'COMPLETING', 'VERIFYING')`
export const UNFINISHED_SQL = sql.raw(UNFINISHED_LIST)

const UploadSchema = defineEntity({
  name: 'Upload',
  tableName: 'upload',
  properties: {
    id: p.uuid().primary(),
    namespace: p.text(),
    principal: p.text(),
    digest: p.text(),
    sizeBytes: p.bigint('number'),
    partSizeBytes: p.bigint('number'),
    /** False for an upload that ends with its stream. */
    resumable: p.boolean(),
    objectKey: p.text(),
    /** The id of the multipart upload in the store; null until the store has begun it. */
    storeUploadId: p.text().nullable(),
    state: p.string().$type<UploadState>().columnType('text').default('OPEN'),
    /** Grows with each call that owns the upload to complete it. Only the last owner may write. */
    epoch: p.bigint('number').defaultRaw('0'),
    /** The end of the owner's lease; null if no call owns the upload. */
    leaseUntil: timeColumn().nullable(),
    /** True while the owner's lease lasts, by the database's clock. Loaded on demand. */
    busy: p.boolean().$type<Opt<boolean>>().formula('coalesce(lease_until > clock_timestamp(), false)').lazy(),
    /** How often a part was sent to the store. If that is once for each part, the store has the recorded bytes. Otherwise the
     * whole object is read back and hashed. */
    attempts: p.bigint('number').defaultRaw('0'),
    failureReason: p.string().$type<UploadFailure>().columnType('text').nullable(),
    failureMessage: p.text().nullable(),
    /** The number of the part at fault. */
    failurePart: p.integer().nullable(),
    createTime: createTimeColumn(),
    expireTime: timeColumn(),
  },
  uniques: [
    { name: 'upload_object_key_unique', properties: ['objectKey'] },
    {
      name: 'upload_unfinished_unique',
      properties: ['principal', 'namespace', 'digest', 'sizeBytes'],
      where: `resumable and state in ${UNFINISHED_LIST}`,
    },
  ],
  indexes: [{ name: 'upload_state_expire_time_index', properties: ['state', 'expireTime'] }],
  checks: [
    {
      name: 'upload_state_check',
      expression:
        "state in ('OPEN', 'SEALING', 'COMPLETING', 'VERIFYING', 'COMMITTED', 'ABORTED', 'EXPIRED', 'FAILED')",
    },
    { name: 'upload_failure_check', expression: "state <> 'FAILED' or failure_reason is not null" },
  ],
})
export class Upload extends UploadSchema.class {}
UploadSchema.setClass(Upload)

const UploadPartSchema = defineEntity({
  name: 'UploadPart',
  tableName: 'upload_part',
  properties: {
    upload: () =>
      p
        .manyToOne(Upload)
        .primary()
        .fieldName('upload_id')
        .deleteRule('cascade')
        .foreignKeyName('upload_part_upload_foreign'),
    number: p.integer().primary().autoincrement(false),
    sizeBytes: p.bigint('number'),
    sha256: p.blob().$type<Buffer>(),
    /** The store requires it to complete the object. */
    etag: p.text(),
  },
})
export class UploadPart extends UploadPartSchema.class {}
UploadPartSchema.setClass(UploadPart)
