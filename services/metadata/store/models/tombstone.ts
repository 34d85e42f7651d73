import { defineEntity, p } from '@mikro-orm/postgresql'
import { createTimeColumn } from '#lib/store/time.ts'

/** The record of a deleted model or version: its id, number and namespace stay known. */
const TombstoneSchema = defineEntity({
  name: 'Tombstone',
  tableName: 'tombstone',
  properties: {
    id: p.uuid().primary(),
    type: p.text().$type<'model' | 'version'>(),
    namespace: p.text(),
    /** The name of the model. */
    name: p.text(),
    modelId: p.uuid(),
    /** The number of the version, or the highest number that the model assigned. */
    number: p.integer(),
    /** The digest of the version's manifest; empty for a model. */
    digest: p.text(),
    deleter: p.text(),
    deleteTime: createTimeColumn(),
  },
  indexes: [{ name: 'tombstone_model_id_number_index', properties: ['modelId', 'number'] }],
  checks: [{ name: 'tombstone_type_check', expression: `type in ('model', 'version')` }],
})
export class Tombstone extends TombstoneSchema.class {}
TombstoneSchema.setClass(Tombstone)
