import { fromJson, toJson, type JsonValue } from '@bufbuild/protobuf'
import { GateDecisionSchema, type GateDecision } from '#gen/modelkeep/metadata/v1/gate_pb.ts'

/** Converts decisions to the JSON that is stored. */
export function decisionsToJson(decisions: GateDecision[]): JsonValue[] {
  return decisions.map((decision) => toJson(GateDecisionSchema, decision))
}

/** Returns the decisions of a stored promotion. */
export function decisionsOf({ decisions }: { decisions: JsonValue[] }): GateDecision[] {
  return decisions.map((decision) => fromJson(GateDecisionSchema, decision))
}
