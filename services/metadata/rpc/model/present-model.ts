import { create } from '@bufbuild/protobuf'
import { ModelSchema, ModelState, type Model } from '#gen/modelkeep/metadata/v1/model_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { Model as StoredModel } from '../../store/models/model.ts'
import { etagOf } from '../../domain/etags.ts'

export function presentModel(model: StoredModel): Model {
  return create(ModelSchema, {
    id: model.id,
    namespace: model.namespace,
    name: model.name,
    description: model.description,
    owner: model.owner,
    labels: model.labels,
    state: ModelState[model.state],
    latestNumber: model.lastNumber,
    aliases: model.aliases,
    creator: model.creator,
    createTime: toTimestamp(model.createTime),
    updateTime: toTimestamp(model.updateTime),
    etag: etagOf(model),
  })
}
