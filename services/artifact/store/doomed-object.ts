// Objects that nothing needs any more, until the janitor has removed them.
import { defineEntity, p } from '@mikro-orm/postgresql'
import { createTimeColumn, timeColumn } from '#lib/store/time.ts'

const DoomedObjectSchema = defineEntity({
  name: 'DoomedObject',
  tableName: 'doomed_object',
  properties: {
    objectKey: p.text().primary(),
    /** Set where an unfinished object is to be given up too. */
    storeUploadId: p.text().nullable(),
    claimedUntil: timeColumn().nullable(),
    createTime: createTimeColumn(),
  },
  indexes: [{ name: 'doomed_object_create_time_index', properties: ['createTime'] }],
})
export class DoomedObject extends DoomedObjectSchema.class {}
DoomedObjectSchema.setClass(DoomedObject)
