import { create } from '@bufbuild/protobuf'
import { ModelSchema, ModelState, type Model } from '#gen/modelkeep/metadata/v1/model_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { ModelRow } from '../../store/models/model-rows.ts'
import { etagOf } from '../../domain/etags.ts'

export function presentModel(row: ModelRow): Model {
  return create(ModelSchema, {
    id: row.id,
    namespace: row.namespace,
    name: row.name,
    description: row.description,
    owner: row.owner,
    labels: row.labels,
    state: ModelState[row.state],
    latestNumber: row.last_number,
    aliases: row.aliases,
    creator: row.creator,
    createTime: toTimestamp(row.create_time),
    updateTime: toTimestamp(row.update_time),
    etag: etagOf(row),
  })
}
