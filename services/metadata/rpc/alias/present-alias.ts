import { create } from '@bufbuild/protobuf'
import { AliasMoveSchema, AliasSchema, type Alias, type AliasMove } from '#gen/modelkeep/metadata/v1/alias_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { AliasMoveRow, AliasRow } from '../../store/aliases/alias-rows.ts'
import type { Model } from '../../store/models/model.ts'

export function presentAlias(row: AliasRow, model: Model): Alias {
  return create(AliasSchema, {
    modelId: model.id,
    namespace: model.namespace,
    model: model.name,
    name: row.name,
    number: row.number,
    versionId: row.version_id,
    digest: row.digest,
    mover: row.mover,
    moveTime: toTimestamp(row.move_time),
    reason: row.reason,
  })
}

export function presentMove(row: AliasMoveRow): AliasMove {
  return create(AliasMoveSchema, {
    id: row.id,
    name: row.name,
    fromNumber: row.from_number,
    toNumber: row.to_number,
    mover: row.mover,
    moveTime: toTimestamp(row.move_time),
    reason: row.reason,
    promotionId: row.promotion_id ?? '',
    forced: row.forced,
  })
}
