import type { JsonValue } from '@bufbuild/protobuf'
import { defineEntity, p } from '@mikro-orm/postgresql'
import { timeColumn } from '#lib/store/time.ts'
import { Version } from '../versions/version.ts'

/** An evaluation. It is deleted with its version. */
const EvaluationSchema = defineEntity({
  name: 'Evaluation',
  tableName: 'evaluation',
  properties: {
    id: p.uuid().primary(),
    version: () => p.manyToOne(Version).mapToPk().deleteRule('cascade').updateRule('no action'),
    suite: p.text(),
    /** EvaluationFacts as JSON. */
    facts: p.json<JsonValue>(),
    /** Estimated size of the evaluation in an answer, in bytes. */
    messageBytes: p.integer(),
    creator: p.text(),
    createTime: timeColumn(),
  },
  indexes: [
    { name: 'evaluation_version_id_create_time_id_index', properties: ['version', 'createTime', 'id'] },
    { name: 'evaluation_version_id_suite_create_time_id_index', properties: ['version', 'suite', 'createTime', 'id'] },
  ],
})
export class Evaluation extends EvaluationSchema.class {}
EvaluationSchema.setClass(Evaluation)
