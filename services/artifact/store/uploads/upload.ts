// Uploads: recorded before the first byte goes to the store, so that whatever a killed process leaves is found.
import { defineEntity, p } from '@mikro-orm/postgresql'
import { createTimeColumn, timeColumn } from '#lib/store/time.ts'

/** Where an upload is being ended, by one process at a time. */
export type SealedState = 'SEALING' | 'COMPLETING' | 'VERIFYING'
export type UploadState = 'OPEN' | SealedState | 'COMMITTED' | 'ABORTED' | 'EXPIRED' | 'FAILED'
export type UploadFailure = 'DIGEST_MISMATCH' | 'STORE_FORGOT'

export const UNFINISHED: UploadState[] = ['OPEN', 'SEALING', 'COMPLETING', 'VERIFYING']
export const UNFINISHED_SQL = `('OPEN', 'SEALING', 'COMPLETING', 'VERIFYING')`

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
    /** False in the simple lane, where the upload ends with its stream. */
    resumable: p.boolean(),
    objectKey: p.text(),
    /** The store's name of the unfinished object. */
    storeUploadId: p.text().nullable(),
    state: p.string().$type<UploadState>().columnType('text').default('OPEN'),
    /** Grows with each owner, a call that ends it; only the last one may write. */
    epoch: p.bigint('number').defaultRaw('0'),
    /** Until when the owner has it for itself. */
    leaseUntil: timeColumn().nullable(),
    /** How often a part went to the store. Where that is once for each part, the store has what was recorded. Whatever else
     * may put bytes there counts more, so that the whole is read back. */
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
      where: `resumable and state in ${UNFINISHED_SQL}`,
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
    sha256: p.blob(),
    /** What the store wants to hear when the object is completed. */
    etag: p.text(),
  },
})
export class UploadPart extends UploadPartSchema.class {}
UploadPartSchema.setClass(UploadPart)
