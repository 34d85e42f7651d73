import type { HandlerContext } from '@connectrpc/connect'
import type { ListEntriesRequest } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { failField } from '#lib/errors/errors.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseOrder } from '../../domain/entry.ts'
import { parseEntryFilter } from '../../store/log/filter.ts'
import { searchEntries } from '../../store/log/entry-lists.ts'
import { readLogSize } from '../../store/log/log-head.ts'
import type { LogDeps } from '../../deps.ts'
import { presentEntry } from '../present-entry.ts'

export async function listEntries({ database }: LogDeps, request: ListEntriesRequest, context: HandlerContext) {
  const readable = accessOf(context).namespaces()
  const order = parseOrder(request.orderBy)
  const filter = parseEntryFilter(request.filter)
  const page = parsePage(request, ['ListEntries', request.filter, order], ['number'])
  const last = page.after?.[0] as number | undefined
  if (last !== undefined && !Number.isSafeInteger(last)) failField('page_token', 'is invalid')
  const range = last === undefined ? {} : order === 'asc' ? { from: last + 1 } : { below: last }
  const query = { readable, filter, order, limit: page.size + 1, ...range }
  const { rows, fitting } = await searchEntries(database, query, context.signal)
  const { rows: shown, nextPageToken } = cutPage(rows, { ...page, size: Math.min(page.size, fitting) }, (row) => [
    row.index,
  ])
  // The size is read last, so that it covers all entries of the page.
  const logSize = await readLogSize(forkFor(database, context.signal))
  return { entries: shown.map(presentEntry), nextPageToken, logSize: BigInt(logSize) }
}
