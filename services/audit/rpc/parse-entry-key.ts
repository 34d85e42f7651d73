// The entry that a request names by index or by event id.
import { fail, failField } from '#lib/errors/errors.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { parseIndex } from '../domain/entry.ts'

type EntryKey =
  | { case: 'index'; value: bigint }
  | { case: 'eventId'; value: string }
  | { case: undefined; value?: undefined }

export function parseEntryKey(entry: EntryKey): { index: number } | { eventId: string } {
  if (entry.case === 'index') return { index: parseIndex(entry.value, 'index') }
  if (entry.case === 'eventId') return { eventId: parseUuid(entry.value, 'event_id') }
  failField('entry', 'must have an index or an event_id')
}

export function failNoEvent(): never {
  fail('EVENT_NOT_FOUND', 'event not found or not visible to the caller')
}
