import { defineEntity, p } from '@mikro-orm/postgresql'
import { createTimeColumn } from '#lib/store/time.ts'

/** What remains of a deleted model or version: enough to explain its id and number, and whose namespace it was. */
const TombstoneSchema = defineEntity({
  name: 'Tombstone',
  tableName: 'tombstone',
  properties: {
    id: p.uuid().primary(),
    type: p.text().$type<'model' | 'version'>(),
    namespace: p.text(),
    /** The model's. */
    name: p.text(),
    modelId: p.uuid(),
    /** Of a model: the highest that it gave. */
    number: p.integer(),
    /** Of a version's manifest; or empty. */
    digest: p.text(),
    deleter: p.text(),
    deleteTime: createTimeColumn(),
  },
  indexes: [{ name: 'tombstone_model_id_number_index', properties: ['modelId', 'number'] }],
  checks: [{ name: 'tombstone_type_check', expression: `type in ('model', 'version')` }],
})
export class Tombstone extends TombstoneSchema.class {}
TombstoneSchema.setClass(Tombstone)
