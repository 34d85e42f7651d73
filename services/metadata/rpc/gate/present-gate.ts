import { create, fromJson } from '@bufbuild/protobuf'
import {
  GateRevisionSchema,
  GateRulesSchema,
  GateSchema,
  type Gate,
  type GateRevision,
} from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import { rulesOf } from '../../domain/governance/gate-rules.ts'
import type { Gate as StoredGate, GateRevision as StoredRevision } from '../../store/governance/gate.ts'
import { etagOf } from '../../domain/etags.ts'

export function presentGate(gate: StoredGate): Gate {
  return create(GateSchema, {
    id: gate.id,
    namespace: gate.namespace,
    name: gate.name,
    modelId: gate.model ?? '',
    model: gate.modelName ?? '',
    rules: rulesOf(gate),
    revision: gate.revision,
    creator: gate.creator,
    createTime: toTimestamp(gate.createTime),
    updateTime: toTimestamp(gate.updateTime),
    etag: etagOf(gate),
  })
}

export function presentRevision({ rules, changeTime, ...revision }: StoredRevision): GateRevision {
  return create(GateRevisionSchema, {
    gateId: revision.gateId,
    revision: revision.revision,
    ...(rules && { rules: fromJson(GateRulesSchema, rules) }),
    changer: revision.changer,
    reason: revision.reason,
    changeTime: toTimestamp(changeTime),
  })
}
