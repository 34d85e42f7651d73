// The command audit health shows the state of the log and its alarms.
import {
  AlarmKindSchema,
  GetLogHealthResponseSchema,
  LogService,
  type Alarm,
} from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { CliError } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { facts, jsonOf, table, time, word } from '../../terminal/output.ts'
import { unary } from '../../connection/registry.ts'

export async function health(context: Context): Promise<void> {
  const registry = context.registry()
  const answer = await registry.audit(LogService).getLogHealth({}, unary(registry))
  const { size, checkpointSize, checkpointTime, producers, alarms } = answer
  if (context.output.json) context.output.document(jsonOf(GetLogHealthResponseSchema, answer))
  else {
    const signed = checkpointSize === 0n ? 'nothing' : `${checkpointSize} entries, at ${time(checkpointTime)}`
    context.output.write(
      facts([
        ['entries', String(size)],
        ['signed', signed],
      ]),
    )
    const rows = producers.map(({ name, nextSequence, lastRecordTime }) => [
      name,
      String(nextSequence - 1n),
      time(lastRecordTime),
    ])
    context.output.write(table(['PRODUCER', 'EVENTS', 'LAST'], rows))
    if (alarms.length > 0) context.output.write(table(['ALARM', 'PRODUCER', 'SEEN', 'LAST', 'WHAT'], alarms.map(rowOf)))
  }
  if (alarms.length === 0) return
  const count = alarms.length === 1 ? 'an alarm' : `${alarms.length} alarms`
  throw new CliError('policy', `log has ${count}: producers lost or changed events, or a clock jumped`, {
    reason: 'ALARMS',
  })
}

function rowOf({ kind, producer, count, lastTime, detail }: Alarm): string[] {
  return [word(AlarmKindSchema, kind), producer, `${count}×`, time(lastTime), detail]
}
