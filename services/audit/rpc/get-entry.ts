import type { HandlerContext } from '@connectrpc/connect'
import type { GetEntryRequest } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { accessOf } from '#lib/caller.ts'
import { fail, failField } from '#lib/errors.ts'
import { parseUuid } from '#lib/ids.ts'
import { forkFor } from '#lib/store/database.ts'
import { findEntry } from '../store/read.ts'
import { parseIndex } from '../domain/entry.ts'
import type { LogDeps } from './log.ts'
import { presentEntry } from './present.ts'

export async function getEntry({ database }: LogDeps, { entry }: GetEntryRequest, context: HandlerContext) {
  const readable = accessOf(context).namespaces()
  const wanted = parseWanted(entry)
  const row = await findEntry(forkFor(database, context.signal), wanted, readable)
  if (!row) fail('EVENT_NOT_FOUND', 'there is no such event, or it is not yours to see')
  return { entry: presentEntry(row) }
}

function parseWanted(entry: GetEntryRequest['entry']): { index: number } | { eventId: string } {
  if (entry.case === 'index') return { index: parseIndex(entry.value, 'index') }
  if (entry.case === 'eventId') return { eventId: parseUuid(entry.value, 'event_id') }
  failField('entry', 'must name an index or an event_id')
}
