import type { HandlerContext } from '@connectrpc/connect'
import type { AppendEventsRequest } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { accessOf } from '#lib/caller.ts'
import { inTransaction } from '#lib/store/database.ts'
import { findFresh } from '../domain/event.ts'
import { appendToLog, findStored, lockLog } from '../store/append.ts'
import type { LogDeps } from './log.ts'
import { parseEvents } from './parse-events.ts'

export async function appendEvents(deps: LogDeps, request: AppendEventsRequest, context: HandlerContext) {
  const { database, tail, privateDetails } = deps
  const producer = accessOf(context).caller.service
  const events = parseEvents(request.events, producer, privateDetails)
  const ids = events.map(({ id }) => id)
  const done = await inTransaction(database, context.signal, async (em) => {
    const log = await lockLog(em, producer)
    const stored = await findStored(em, ids)
    const fresh = findFresh(producer, events, log.nextSequence, stored)
    if (fresh.length > 0) await appendToLog(em, log, fresh)
    const indexes = new Map([...stored].map(([id, { index }]) => [id, index]))
    fresh.forEach(({ id }, position) => indexes.set(id, log.size + position))
    return { indexes, size: log.size + fresh.length, nextSequence: log.nextSequence + fresh.length }
  })
  tail.grow(done.size)
  return { indexes: ids.map((id) => BigInt(done.indexes.get(id)!)), nextSequence: BigInt(done.nextSequence) }
}
