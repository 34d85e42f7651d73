import type { JsonValue } from '@bufbuild/protobuf'
import { defineEntity, p } from '@mikro-orm/postgresql'
import { createTimeColumn } from '#lib/store/time.ts'
import { Model } from '../models/model.ts'
import { Namespace } from '../models/namespace.ts'

export const GATE_NAME_CONSTRAINT = 'gate_namespace_name_unique'

const GateSchema = defineEntity({
  name: 'Gate',
  tableName: 'gate',
  properties: {
    id: p.uuid().primary(),
    namespace: () =>
      p.manyToOne(Namespace).mapToPk().fieldName('namespace').deleteRule('no action').updateRule('no action'),
    name: p.text(),
    /** Null if the gate guards the aliases of all models of the namespace. */
    model: () => p.manyToOne(Model).mapToPk().nullable().deleteRule('no action').updateRule('no action'),
    /** GateRules as JSON. */
    rules: p.json<JsonValue>(),
    /** Estimated size of the gate in an answer, in bytes. */
    messageBytes: p.integer(),
    creator: p.text(),
    createTime: createTimeColumn(),
    updateTime: createTimeColumn(),
    revision: p.integer().version().default(1),
    /** Name of the model; null if the gate has none. Loaded on demand. */
    modelName: p
      .text()
      .nullable()
      .formula((columns) => `(select m.name from model m where m.id = ${columns['model']})`)
      .lazy(),
  },
  indexes: [{ name: 'gate_model_id_index', properties: ['model'] }],
  uniques: [{ name: GATE_NAME_CONSTRAINT, properties: ['namespace', 'name'] }],
})
export class Gate extends GateSchema.class {}
GateSchema.setClass(Gate)

/** The rules of a gate at one revision. A row is never deleted, even when its gate is. */
const GateRevisionSchema = defineEntity({
  name: 'GateRevision',
  tableName: 'gate_revision',
  properties: {
    gateId: p.uuid().primary(),
    revision: p.integer().primary(),
    namespace: p.text(),
    /** GateRules as JSON; null if this revision deleted the gate. */
    rules: p.json<JsonValue>().nullable(),
    messageBytes: p.integer(),
    changer: p.text(),
    reason: p.text(),
    changeTime: createTimeColumn(),
  },
})
export class GateRevision extends GateRevisionSchema.class {}
GateRevisionSchema.setClass(GateRevision)
