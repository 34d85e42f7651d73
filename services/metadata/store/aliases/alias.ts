import { defineEntity, p } from '@mikro-orm/postgresql'
import { timeColumn } from '#lib/store/time.ts'
import { Model } from '../models/model.ts'
import { Version } from '../versions/version.ts'
import { v5 as uuidv5 } from 'uuid'
import type { EntityManager } from '#lib/store/database.ts'

const AliasSchema = defineEntity({
  name: 'Alias',
  tableName: 'alias',
  properties: {
    /** Derived from the model and the name, so that an alias has the same id again after it was removed. */
    id: p.uuid().primary(),
    model: () => p.manyToOne(Model).mapToPk().deleteRule('no action').updateRule('no action'),
    name: p.text(),
    number: p.integer(),
    version: () => p.manyToOne(Version).mapToPk().deleteRule('no action').updateRule('no action'),
    mover: p.text(),
    moveTime: timeColumn(),
    reason: p.text(),
    /** The digest of the version. Loaded on demand. */
    digest: p
      .text()
      .formula((columns) => `(select v.digest from version v where v.id = ${columns['version']})`)
      .lazy(),
  },
  indexes: [{ name: 'alias_version_id_index', properties: ['version'] }],
  uniques: [{ name: 'alias_model_id_name_unique', properties: ['model', 'name'] }],
})
export class Alias extends AliasSchema.class {}
AliasSchema.setClass(Alias)

/** A move of an alias. Its row is never deleted, even when its alias, version or model is. */
const AliasMoveSchema = defineEntity({
  name: 'AliasMove',
  tableName: 'alias_move',
  properties: {
    id: p.uuid().primary(),
    aliasId: p.uuid(),
    modelId: p.uuid(),
    name: p.text(),
    /** 0 when the alias did not exist before. */
    fromNumber: p.integer(),
    /** 0 when the alias was removed. */
    toNumber: p.integer(),
    versionId: p.uuid().nullable(),
    mover: p.text(),
    moveTime: timeColumn(),
    reason: p.text(),
    promotionId: p.uuid().nullable(),
    /** Whether the move bypassed gates. */
    forced: p.boolean().default(false),
  },
  indexes: [
    { name: 'alias_move_model_id_name_move_time_id_index', properties: ['modelId', 'name', 'moveTime', 'id'] },
    { name: 'alias_move_model_id_move_time_id_index', properties: ['modelId', 'moveTime', 'id'] },
  ],
})
export class AliasMove extends AliasMoveSchema.class {}
AliasMoveSchema.setClass(AliasMove)

export function aliasId(modelId: string, name: string): string {
  return uuidv5(name, modelId)
}

/** Returns the aliases of the model that have these names, by name, each with the digest of its version. */
export async function findAliases(em: EntityManager, modelId: string, names: string[]): Promise<Map<string, Alias>> {
  const where = { model: modelId, name: { $in: names } }
  const aliases = await em.find(Alias, where, { populate: ['digest'], refresh: true })
  return new Map(aliases.map((alias) => [alias.name, alias]))
}
