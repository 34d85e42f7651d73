import { create } from '@bufbuild/protobuf'
import { GateRevisionSchema, GateSchema, type Gate, type GateRevision } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { GateRevisionRow } from '../../store/governance/gate-revisions.ts'
import type { GateRow } from '../../store/governance/gate-rows.ts'
import { etagOf } from '../../domain/etags.ts'

export function presentGate(row: GateRow): Gate {
  return create(GateSchema, {
    id: row.id,
    namespace: row.namespace,
    name: row.name,
    modelId: row.model_id ?? '',
    model: row.model ?? '',
    rules: row.rules,
    revision: row.revision,
    creator: row.creator,
    createTime: toTimestamp(row.create_time),
    updateTime: toTimestamp(row.update_time),
    etag: etagOf(row),
  })
}

export function presentRevision(row: GateRevisionRow): GateRevision {
  return create(GateRevisionSchema, {
    gateId: row.gate_id,
    revision: row.revision,
    ...(row.rules && { rules: row.rules }),
    changer: row.changer,
    reason: row.reason,
    changeTime: toTimestamp(row.change_time),
  })
}
