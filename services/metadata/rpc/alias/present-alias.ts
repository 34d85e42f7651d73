import { create } from '@bufbuild/protobuf'
import { AliasMoveSchema, AliasSchema, type Alias, type AliasMove } from '#gen/modelkeep/metadata/v1/alias_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { AliasMove as StoredMove } from '../../store/aliases/alias.ts'
import type { AliasTarget } from '../../store/aliases/record-moves.ts'
import type { ModelHead } from '../../store/models/find-model.ts'

export function presentAlias(alias: AliasTarget, model: ModelHead): Alias {
  return create(AliasSchema, {
    modelId: model.id,
    namespace: model.namespace,
    model: model.name,
    name: alias.name,
    number: alias.number,
    versionId: alias.version,
    digest: alias.digest,
    mover: alias.mover,
    moveTime: toTimestamp(alias.moveTime),
    reason: alias.reason,
  })
}

export function presentMove(move: StoredMove): AliasMove {
  return create(AliasMoveSchema, {
    id: move.id,
    name: move.name,
    fromNumber: move.fromNumber,
    toNumber: move.toNumber,
    mover: move.mover,
    moveTime: toTimestamp(move.moveTime),
    reason: move.reason,
    promotionId: move.promotionId ?? '',
    forced: move.forced,
  })
}
