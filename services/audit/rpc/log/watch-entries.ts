import type { HandlerContext } from '@connectrpc/connect'
import type { WatchEntriesRequest } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { accessOf, renewAccessKey } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import type { Database } from '#lib/store/database.ts'
import type { FilterSql } from '#lib/store/filter.ts'
import { parseIndex } from '../../domain/entry.ts'
import { parseEntryFilter } from '../../store/log/filter.ts'
import { searchEntries } from '../../store/log/entry-lists.ts'
import type { Readable } from '../../store/log/find-entry.ts'
import type { OpenedEntry } from '../../store/log/openings.ts'
import type { LogDeps } from '../../deps.ts'
import { presentEntry } from '../present-entry.ts'

/** Longest time between two messages, and between two checks of the caller's access. */
const HEARTBEAT_MS = 4_000
const BATCH = 256
/** Entries of the first batch. Each is twice as large as the one before, so that a watch that nobody reads costs little. */
const FIRST_BATCH = 16
/** Indexes scanned at a time, so that a filter with few matches does not delay heartbeats. */
const SCAN_SIZE = 20_000

export async function* watchEntries(deps: LogDeps, request: WatchEntriesRequest, context: HandlerContext) {
  const { database, tail, draining, reads } = deps
  const { caller } = accessOf(context)
  let readable: Readable = accessOf(context).namespaces()
  let next = parseIndex(request.fromIndex, 'from_index')
  const filter = parseEntryFilter(request.filter)
  const ending = AbortSignal.any([context.signal, draining])
  let sentAt = -Infinity
  let renewedAt = performance.now()
  let limit = FIRST_BATCH
  while (!ending.aborted) {
    if (performance.now() - renewedAt >= HEARTBEAT_MS) {
      readable = (await context.values.get(renewAccessKey)()).namespaces()
      renewedAt = performance.now()
    }
    const size = await tail.size()
    const position = { next, size, readable, filter, limit }
    const batch = await reads.run(caller.principal, () => readNext(database, position, context.signal))
    next = batch.next
    if (batch.rows.length > 0 || performance.now() - sentAt >= HEARTBEAT_MS) {
      yield { entries: batch.rows.map(presentEntry), nextIndex: BigInt(next) }
      sentAt = performance.now()
      limit = Math.min(BATCH, 2 * limit)
    }
    if (next >= size) await tail.waitForGrowth(ending)
  }
  context.signal.throwIfAborted()
  fail('DEPENDENCY_UNAVAILABLE', 'audit service is shutting down; watch again from next_index', { dependency: 'audit' })
}

interface Position {
  next: number
  size: number
  readable: Readable
  filter: FilterSql | undefined
  /** Most entries in the batch. */
  limit: number
}

/** Returns the next matching entries, and the index below which all entries were scanned. */
async function readNext(
  database: Database,
  { next, size, readable, filter, limit }: Position,
  signal: AbortSignal,
): Promise<{ rows: OpenedEntry[]; next: number }> {
  if (next >= size) return { rows: [], next }
  const below = Math.min(size, next + SCAN_SIZE)
  const query = { readable, filter, from: next, below, order: 'asc' as const, limit }
  const { rows: found, fitting } = await searchEntries(database, query, signal)
  const rows = found.slice(0, fitting)
  const isAll = rows.length === found.length && found.length < limit
  return { rows, next: isAll ? below : rows.at(-1)!.index + 1 }
}
