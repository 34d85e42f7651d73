import { fromJson, type JsonValue } from '@bufbuild/protobuf'
import { LogEntrySchema, type LogEntry } from '#gen/modelkeep/audit/v1/event_pb.ts'
import type { EntryRow } from '../store/read.ts'

/** From the leaf alone: what a proof is about is what is shown. */
export function presentEntry({ index, leaf }: EntryRow): LogEntry {
  const entry = fromJson(LogEntrySchema, JSON.parse(leaf.toString()) as JsonValue, { ignoreUnknownFields: true })
  entry.index = BigInt(index)
  entry.leaf = leaf
  return entry
}
