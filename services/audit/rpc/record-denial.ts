// A denial at the audit service itself goes straight into the log, as an event of the producer `audit`.
import { create, fromJson } from '@bufbuild/protobuf'
import { TimestampSchema } from '@bufbuild/protobuf/wkt'
import { v7 as uuidv7 } from 'uuid'
import { EventSchema, Outcome } from '#gen/modelkeep/audit/v1/event_pb.ts'
import type { Denial } from '#lib/gate.ts'
import { inTransaction } from '#lib/store/database.ts'
import { appendToLog, lockLog, type LockedLog } from '../store/append.ts'
import type { LogDeps } from './log.ts'
import { parseEvent } from './parse-events.ts'

const PRODUCER = 'audit'

export async function recordDenial({ database, tail }: LogDeps, denial: Denial): Promise<void> {
  const size = await inTransaction(database, undefined, async (em) => {
    const log = await lockLog(em, PRODUCER)
    await appendToLog(em, log, [parseEvent(denialEvent(denial, log), 'event')])
    return log.size + 1
  })
  tail.grow(size)
}

function denialEvent({ caller, method, permission, namespace, requestId }: Denial, log: LockedLog) {
  return create(EventSchema, {
    id: uuidv7(),
    producer: PRODUCER,
    sequence: BigInt(log.nextSequence),
    type: 'access.denied.v1',
    occurTime: fromJson(TimestampSchema, log.now),
    actor: { principal: caller.principal, method: caller.method, credentialId: caller.credentialId },
    resource: { type: 'rpc', id: method, namespace, name: method },
    outcome: Outcome.DENIED,
    requestId,
    details: { permission },
  })
}
