// Uploads: recorded before the first byte goes to the store, so that whatever a killed process leaves is found.
import { defineEntity, p } from '@mikro-orm/postgresql'
import { createTimeColumn, timeColumn } from '#lib/store/time.ts'

export type UploadState = 'OPEN' | 'COMPLETING' | 'COMMITTED' | 'ABORTED' | 'EXPIRED'

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
    /** Grows with each call that completes it; only the last one may write. */
    epoch: p.bigint('number').defaultRaw('0'),
    /** Until when the completing call has it for itself. */
    leaseUntil: timeColumn().nullable(),
    createTime: createTimeColumn(),
    expireTime: timeColumn(),
  },
  uniques: [
    { name: 'upload_object_key_unique', properties: ['objectKey'] },
    {
      name: 'upload_unfinished_unique',
      properties: ['principal', 'namespace', 'digest', 'sizeBytes'],
      where: "resumable and state in ('OPEN', 'COMPLETING')",
    },
  ],
  indexes: [{ name: 'upload_state_expire_time_index', properties: ['state', 'expireTime'] }],
  checks: [
    { name: 'upload_state_check', expression: "state in ('OPEN', 'COMPLETING', 'COMMITTED', 'ABORTED', 'EXPIRED')" },
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
