import type { JsonValue } from '@bufbuild/protobuf'
import { defineEntity, p } from '@mikro-orm/postgresql'
import { createTimeColumn } from '#lib/store/time.ts'
import { Model } from '../models/model.ts'

const VersionSchema = defineEntity({
  name: 'Version',
  tableName: 'version',
  properties: {
    id: p.uuid().primary(),
    model: () => p.manyToOne(Model).mapToPk().deleteRule('no action').updateRule('no action'),
    namespace: p.text(),
    number: p.integer(),
    semver: p.text().nullable(),
    /** The digest of the manifest. */
    digest: p.text(),
    sizeBytes: p.bigint('string'),
    fileCount: p.integer(),
    state: p.text().$type<'READY'>(),
    /** VersionFacts as JSON. */
    facts: p.json<JsonValue>(),
    /** The parameters of the facts by name, for filters. */
    parameters: p.json<Record<string, JsonValue>>().lazy(),
    description: p.text(),
    labels: p.json<Record<string, string>>(),
    modelCard: p.text(),
    /** Estimated size of the version in an answer, in bytes. */
    messageBytes: p.integer(),
    creator: p.text(),
    createTime: createTimeColumn(),
    updateTime: createTimeColumn(),
    revision: p.integer().version().default(1),
    /** Name of the model. Loaded on demand. */
    modelName: p
      .text()
      .formula((columns) => `(select m.name from model m where m.id = ${columns['model']})`)
      .lazy(),
    /** Names of the aliases that point at the version. Loaded on demand. */
    aliases: p
      .json<string[]>()
      .formula(
        (columns) =>
          `(select coalesce(json_agg(a.name order by a.name), '[]') from alias a where a.version_id = ${columns['id']})`,
      )
      .lazy(),
  },
  indexes: [
    { name: 'version_model_id_create_time_id_index', properties: ['model', 'createTime', 'id'] },
    { name: 'version_namespace_create_time_id_index', properties: ['namespace', 'createTime', 'id'] },
    { name: 'version_create_time_id_index', properties: ['createTime', 'id'] },
  ],
  uniques: [
    { name: 'version_model_id_number_unique', properties: ['model', 'number'] },
    { name: 'version_model_id_semver_unique', properties: ['model', 'semver'] },
    { name: 'version_model_id_digest_unique', properties: ['model', 'digest'] },
  ],
  checks: [{ name: 'version_state_check', expression: `state in ('READY')` }],
})
export class Version extends VersionSchema.class {}
VersionSchema.setClass(Version)

/** The metrics of the facts, for filters and orders. */
const VersionMetricSchema = defineEntity({
  name: 'VersionMetric',
  tableName: 'version_metric',
  properties: {
    version: () => p.manyToOne(Version).mapToPk().primary().deleteRule('cascade').updateRule('no action'),
    ordinal: p.integer().primary(),
    modelId: p.uuid(),
    name: p.text(),
    value: p.double(),
    /** True for the first metric of its name in the facts, by which lists are ordered. */
    main: p.boolean(),
  },
  indexes: [
    { name: 'version_metric_version_id_name_index', properties: ['version', 'name'] },
    {
      name: 'version_metric_model_id_name_main_value_version_id_index',
      properties: ['modelId', 'name', 'main', 'value', 'version'],
    },
    {
      name: 'version_metric_name_main_value_version_id_index',
      properties: ['name', 'main', 'value', 'version'],
    },
  ],
})
export class VersionMetric extends VersionMetricSchema.class {}
VersionMetricSchema.setClass(VersionMetric)

const VersionParentSchema = defineEntity({
  name: 'VersionParent',
  tableName: 'version_parent',
  properties: {
    version: () => p.manyToOne(Version).mapToPk().primary().deleteRule('cascade').updateRule('no action'),
    ordinal: p.integer().primary(),
    parent: () => p.manyToOne(Version).mapToPk().deleteRule('no action').updateRule('no action'),
  },
  indexes: [{ name: 'version_parent_parent_id_index', properties: ['parent'] }],
})
export class VersionParent extends VersionParentSchema.class {}
VersionParentSchema.setClass(VersionParent)
