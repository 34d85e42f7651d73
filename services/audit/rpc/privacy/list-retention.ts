import { create } from '@bufbuild/protobuf'
import { DurationSchema } from '@bufbuild/protobuf/wkt'
import type { HandlerContext } from '@connectrpc/connect'
import { RetentionClass } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { forkFor } from '#lib/store/database.ts'
import { toTimestamp } from '#lib/store/time.ts'
import { RETENTION_CLASSES } from '../../domain/retention.ts'
import { findOldest } from '../../store/privacy/retention-lists.ts'
import type { LogDeps } from '../../deps.ts'

export async function listRetention({ database, retention }: LogDeps, context: HandlerContext) {
  accessOf(context).requirePlatform()
  const oldest = await findOldest(forkFor(database, context.signal), RETENTION_CLASSES)
  return {
    retention: RETENTION_CLASSES.map((name) => {
      const time = oldest.get(name)
      return {
        retentionClass: RetentionClass[name],
        keep: create(DurationSchema, { seconds: BigInt(retention[name]) }),
        ...(time !== undefined && { oldestRecordTime: toTimestamp(time) }),
      }
    }),
  }
}
