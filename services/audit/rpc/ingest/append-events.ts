import type { HandlerContext } from '@connectrpc/connect'
import type { AppendEventsRequest } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { inTransaction } from '#lib/store/database.ts'
import { raiseAlarm } from '../../changes/raise-alarm.ts'
import { logClockSkew, recordClockSkews } from '../../changes/record-clock-skews.ts'
import type { LogDeps } from '../../deps.ts'
import { findNewEvents, type NewEvent } from '../../domain/event.ts'
import { appendToLog, findStored, lockLog } from '../../store/log/append.ts'
import { parseEvents } from './parse-events.ts'

export async function appendEvents(deps: LogDeps, request: AppendEventsRequest, context: HandlerContext) {
  const { tail, privateDetails } = deps
  const producer = accessOf(context).caller.service
  const events = parseEvents(request.events, producer, privateDetails)
  const appended = await append(deps, producer, events, context.signal).catch(async (error: unknown) => {
    await raiseAlarm(deps, producer, error)
    throw error
  })
  tail.recordGrowth(appended.size)
  for (const skew of appended.skews) logClockSkew(deps, skew)
  const indexes = events.map(({ id }) => BigInt(appended.indexes.get(id)!))
  return { indexes, nextSequence: BigInt(appended.nextSequence) }
}

function append({ database }: LogDeps, producer: string, events: NewEvent[], signal: AbortSignal) {
  return inTransaction(database, signal, async (em) => {
    const log = await lockLog(em, producer, signal)
    const ids = events.map(({ id }) => id)
    const stored = await findStored(em, ids)
    const fresh = findNewEvents(producer, events, log.nextSequence, stored)
    if (fresh.length > 0) await appendToLog(em, log, fresh)
    const skews = await recordClockSkews(em, log, fresh)
    const indexes = new Map([...stored].map(([id, { index }]) => [id, index]))
    fresh.forEach(({ id }, position) => indexes.set(id, log.size + position))
    const size = log.size + fresh.length + skews.length
    return { indexes, size, nextSequence: log.nextSequence + fresh.length, skews }
  })
}
