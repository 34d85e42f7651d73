import type { HandlerContext } from '@connectrpc/connect'
import type { GetEntryRequest } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { forkFor } from '#lib/store/database.ts'
import { findEntry } from '../../store/log/find-entry.ts'
import type { LogDeps } from '../../deps.ts'
import { presentEntry } from '../present-entry.ts'
import { failNoEvent, parseEntryKey } from '../parse-entry-key.ts'

export async function getEntry({ database }: LogDeps, { entry }: GetEntryRequest, context: HandlerContext) {
  const readable = accessOf(context).namespaces()
  const row = await findEntry(forkFor(database, context.signal), parseEntryKey(entry), readable)
  if (!row) failNoEvent()
  return { entry: presentEntry(row) }
}
