import type { HandlerContext } from '@connectrpc/connect'
import { AlarmKind } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { accessOf, ALL_NAMESPACES } from '#lib/access/caller.ts'
import { forkFor } from '#lib/store/database.ts'
import { toTimestamp } from '#lib/store/time.ts'
import { listAlarms, listProducers, type ListedProducer } from '../../store/log/alarms.ts'
import { findSignTime } from '../../store/tree/checkpoints.ts'
import type { Alarm } from '../../store/entities.ts'
import { readLogSize } from '../../store/log/log-head.ts'
import { findNewestCheckpoint } from '../../store/tree/published-checkpoints.ts'
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

function presentProducer({ name, nextSequence, lastRecordTime: last }: ListedProducer) {
  return { name, nextSequence: BigInt(nextSequence), ...(last !== null && { lastRecordTime: toTimestamp(last) }) }
}

function presentAlarm({ kind, producer, subject, detail, count, firstTime, lastTime }: Alarm) {
  return {
    kind: AlarmKind[kind],
    producer,
    subject,
    detail,
    count: BigInt(count),
    firstTime: toTimestamp(firstTime),
    lastTime: toTimestamp(lastTime),
  }
}
