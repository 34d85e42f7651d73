import type { HandlerContext } from '@connectrpc/connect'
import type { ResolveVersionRequest } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { failField } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { fromTimestamp } from '#lib/store/time.ts'
import { LATEST } from '../../domain/names.ts'
import { parseVersionRef, type VersionKey } from '../../domain/refs.ts'
import { parseTime } from '../../domain/times.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentVersion } from './present-version.ts'
import { requireVersion } from '../../changes/require-version.ts'

export async function resolveVersion(
  { database }: RegistryDeps,
  request: ResolveVersionRequest,
  context: HandlerContext,
) {
  const key = parseVersionRef(request.ref, 'ref')
  const atTime = parseAtTime(request, key)
  const em = forkFor(database, context.signal)
  return { version: presentVersion(await requireVersion(em, context, key, atTime)) }
}

function parseAtTime({ atTime }: ResolveVersionRequest, key: VersionKey): string | undefined {
  if (!atTime) return undefined
  if ('id' in key || key.selector.kind !== 'alias' || key.selector.value === LATEST) {
    failField('at_time', 'requires an alias other than "latest"')
  }
  return fromTimestamp(parseTime(atTime, 'at_time'))
}
