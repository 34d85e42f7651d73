import type { JsonValue } from '@bufbuild/protobuf'
import { defineEntity, p, raw } from '@mikro-orm/postgresql'
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

/** The present time, or a microsecond after the newest evaluation of the version, whichever is later, as the value of a
 * property. No two evaluations of a version have the same time. */
export const nextEvaluationTime = (versionId: string) =>
  raw(
    `greatest(clock_timestamp(),
      (select max(create_time) + interval '1 microsecond' from evaluation where version_id = ?))`,
    [versionId],
  )
