import { defineEntity, p } from '@mikro-orm/postgresql'
import { createTimeColumn } from '#lib/store/time.ts'
import { Namespace } from './namespace.ts'

export const NAME_CONSTRAINT = 'model_namespace_name_key_unique'

const ModelSchema = defineEntity({
  name: 'Model',
  tableName: 'model',
  properties: {
    id: p.uuid().primary(),
    namespace: () =>
      p.manyToOne(Namespace).mapToPk().fieldName('namespace').deleteRule('no action').updateRule('no action'),
    name: p.text(),
    /** The name in lower case, which is unique in the namespace. Models are found by it. */
    nameKey: p.text(),
    description: p.text(),
    owner: p.text(),
    labels: p.json<Record<string, string>>(),
    state: p.text().$type<'ACTIVE' | 'ARCHIVED'>(),
    /** The highest version number assigned so far. */
    lastNumber: p.integer().default(0),
    creator: p.text(),
    createTime: createTimeColumn(),
    updateTime: createTimeColumn(),
    revision: p.integer().version().default(1),
    /** Aliases by name. They are loaded on demand, once the lock is held. */
    aliases: p
      .json<{ name: string; number: number }[]>()
      .formula(
        (columns) =>
          `(select coalesce(json_agg(json_build_object('name', a.name, 'number', a.number) order by a.name), '[]')
            from alias a where a.model_id = ${columns['id']})`,
      )
      .lazy(),
  },
  indexes: [
    { name: 'model_name_key_id_index', properties: ['nameKey', 'id'] },
    { name: 'model_create_time_id_index', properties: ['createTime', 'id'] },
    { name: 'model_update_time_id_index', properties: ['updateTime', 'id'] },
    { name: 'model_namespace_create_time_id_index', properties: ['namespace', 'createTime', 'id'] },
    { name: 'model_namespace_update_time_id_index', properties: ['namespace', 'updateTime', 'id'] },
  ],
  uniques: [{ name: NAME_CONSTRAINT, properties: ['namespace', 'nameKey'] }],
  checks: [{ name: 'model_state_check', expression: `state in ('ACTIVE', 'ARCHIVED')` }],
})
export class Model extends ModelSchema.class {}
ModelSchema.setClass(Model)

/** A former name of a model. It resolves to the model until another model has the name. */
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
