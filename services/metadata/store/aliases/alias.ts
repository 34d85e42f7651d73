import { defineEntity, p } from '@mikro-orm/postgresql'
import { timeColumn } from '#lib/store/time.ts'
import { Model } from '../models/model.ts'
import { Version } from '../versions/version.ts'

const AliasSchema = defineEntity({
  name: 'Alias',
  tableName: 'alias',
  properties: {
    /** The same whenever a model has an alias of this name. */
    id: p.uuid().primary(),
    model: () => p.manyToOne(Model).mapToPk().deleteRule('no action').updateRule('no action'),
    name: p.text(),
    number: p.integer(),
    version: () => p.manyToOne(Version).mapToPk().deleteRule('no action').updateRule('no action'),
    mover: p.text(),
    moveTime: timeColumn(),
    reason: p.text(),
  },
  indexes: [{ name: 'alias_version_id_index', properties: ['version'] }],
  uniques: [{ name: 'alias_model_id_name_unique', properties: ['model', 'name'] }],
})
export class Alias extends AliasSchema.class {}
AliasSchema.setClass(Alias)

/** Kept for ever, also when alias, version or model are gone. */
const AliasMoveSchema = defineEntity({
  name: 'AliasMove',
  tableName: 'alias_move',
  properties: {
    id: p.uuid().primary(),
    aliasId: p.uuid(),
    modelId: p.uuid(),
    name: p.text(),
    /** 0 when it did not exist before. */
    fromNumber: p.integer(),
    /** 0 when it was removed. */
    toNumber: p.integer(),
    versionId: p.uuid().nullable(),
    mover: p.text(),
    moveTime: timeColumn(),
    reason: p.text(),
    promotionId: p.uuid().nullable(),
    /** Past its gates. */
    forced: p.boolean().default(false),
  },
  indexes: [
    { name: 'alias_move_model_id_name_move_time_id_index', properties: ['modelId', 'name', 'moveTime', 'id'] },
    { name: 'alias_move_model_id_move_time_id_index', properties: ['modelId', 'moveTime', 'id'] },
  ],
})
export class AliasMove extends AliasMoveSchema.class {}
AliasMoveSchema.setClass(AliasMove)
