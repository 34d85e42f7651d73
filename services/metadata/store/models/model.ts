import { defineEntity, p } from '@mikro-orm/postgresql'
import { createTimeColumn } from '#lib/store/time.ts'
import { Namespace } from './namespace.ts'

const ModelSchema = defineEntity({
  name: 'Model',
  tableName: 'model',
  properties: {
    id: p.uuid().primary(),
    namespace: () =>
      p.manyToOne(Namespace).mapToPk().fieldName('namespace').deleteRule('no action').updateRule('no action'),
    name: p.text(),
    /** The name without case: what is unique and looked up. */
    nameKey: p.text(),
    description: p.text(),
    owner: p.text(),
    labels: p.json<Record<string, string>>(),
    state: p.text().$type<'ACTIVE' | 'ARCHIVED'>(),
    /** The highest number given so far. */
    lastNumber: p.integer().default(0),
    creator: p.text(),
    createTime: createTimeColumn(),
    updateTime: createTimeColumn(),
    revision: p.integer().default(1),
  },
  indexes: [
    { name: 'model_name_key_id_index', properties: ['nameKey', 'id'] },
    { name: 'model_create_time_id_index', properties: ['createTime', 'id'] },
    { name: 'model_update_time_id_index', properties: ['updateTime', 'id'] },
    { name: 'model_namespace_create_time_id_index', properties: ['namespace', 'createTime', 'id'] },
    { name: 'model_namespace_update_time_id_index', properties: ['namespace', 'updateTime', 'id'] },
  ],
  uniques: [{ name: 'model_namespace_name_key_unique', properties: ['namespace', 'nameKey'] }],
  checks: [{ name: 'model_state_check', expression: `state in ('ACTIVE', 'ARCHIVED')` }],
})
export class Model extends ModelSchema.class {}
ModelSchema.setClass(Model)

/** A former name, which leads to the model until another one takes it. */
const ModelRedirectSchema = defineEntity({
  name: 'ModelRedirect',
  tableName: 'model_redirect',
  properties: {
    namespace: p.text().primary(),
    nameKey: p.text().primary(),
    model: () => p.manyToOne(Model).mapToPk().deleteRule('cascade').updateRule('no action'),
  },
  indexes: [{ name: 'model_redirect_model_id_index', properties: ['model'] }],
})
export class ModelRedirect extends ModelRedirectSchema.class {}
ModelRedirectSchema.setClass(ModelRedirect)
