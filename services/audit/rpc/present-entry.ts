import { create, fromJson, type JsonValue } from '@bufbuild/protobuf'
import { LogEntrySchema, OpeningSchema, type LogEntry, type Opening } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { restoreValues, type Json, type StoredOpening } from '../domain/private.ts'
import type { OpenedEntry } from '../store/log/openings.ts'

/** Presents an entry from its leaf, which proofs are about, and the private values that the leaf commits to. */
export function presentEntry({ index, leaf, openings }: OpenedEntry): LogEntry {
  const content = JSON.parse(leaf.toString()) as { event: Json }
  restoreValues(
    content.event,
    openings.filter((opening) => opening.redactIndex === null),
  )
  const entry = fromJson(LogEntrySchema, content as JsonValue, { ignoreUnknownFields: true })
  entry.index = BigInt(index)
  entry.leaf = leaf
  entry.openings = openings.map(presentOpening)
  return entry
}

export function presentOpening(opening: StoredOpening): Opening {
  const { field } = opening
  if (opening.redactIndex !== null) return create(OpeningSchema, { field, redactIndex: BigInt(opening.redactIndex) })
  return create(OpeningSchema, { field, salt: opening.salt, value: opening.value })
}
