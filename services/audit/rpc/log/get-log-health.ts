import type { HandlerContext } from '@connectrpc/connect'
import { AlarmKind } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { accessOf, ALL_NAMESPACES } from '#lib/access/caller.ts'
import { forkFor } from '#lib/store/database.ts'
import { toTimestamp } from '#lib/store/time.ts'
import { findSignTime, listAlarms, listProducers, type AlarmRow, type ProducerRow } from '../../store/alarms.ts'
import { findNewestCheckpoint } from '../../store/checkpoint.ts'
import { readLogSize } from '../../store/read.ts'
import type { LogDeps } from '../../deps.ts'

const MAX_ALARMS = 1_000

export async function getLogHealth({ database }: LogDeps, context: HandlerContext) {
  accessOf(context).require(ALL_NAMESPACES)
  const em = forkFor(database, context.signal)
  const checkpoint = await findNewestCheckpoint(em)
  const signTime = checkpoint && (await findSignTime(em, checkpoint.size))
  return {
    size: BigInt(await readLogSize(em)),
    checkpointSize: BigInt(checkpoint?.size ?? 0),
    ...(signTime && { checkpointTime: toTimestamp(signTime) }),
    producers: (await listProducers(em)).map(presentProducer),
    alarms: (await listAlarms(em, MAX_ALARMS)).map(presentAlarm),
  }
}

function presentProducer({ name, next_sequence: next, last_record_time: last }: ProducerRow) {
  return { name, nextSequence: BigInt(next), ...(last !== null && { lastRecordTime: toTimestamp(last) }) }
}

function presentAlarm({ kind, producer, subject, detail, count, first_time: first, last_time: last }: AlarmRow) {
  return {
    kind: AlarmKind[kind],
    producer,
    subject,
    detail,
    count: BigInt(count),
    firstTime: toTimestamp(first),
    lastTime: toTimestamp(last),
  }
}
