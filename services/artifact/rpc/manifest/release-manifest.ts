import type { HandlerContext } from '@connectrpc/connect'
import type { ReleaseManifestRequest } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { inTransaction } from '#lib/store/database.ts'
import { releaseManifest as releaseHold } from '../../store/blobs/manifest.ts'
import type { Backend } from '../../deps.ts'
import { parseHold } from './hold.ts'

export async function releaseManifest({ database }: Backend, request: ReleaseManifestRequest, context: HandlerContext) {
  const hold = parseHold(request)
  await inTransaction(database, context.signal, (em) => releaseHold(em, hold))
  return {}
}
