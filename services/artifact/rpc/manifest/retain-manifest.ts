import type { HandlerContext } from '@connectrpc/connect'
import type { RetainManifestRequest } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { inTransaction } from '#lib/store/database.ts'
import { holdManifest } from '../../store/blobs/manifest.ts'
import type { Backend } from '../../deps.ts'
import { failManifestNotFound, parseHold } from './hold.ts'

export async function retainManifest({ database }: Backend, request: RetainManifestRequest, context: HandlerContext) {
  const hold = parseHold(request)
  const manifest = await inTransaction(database, context.signal, (em) => holdManifest(em, hold))
  const { totalSizeBytes, fileCount } = manifest ?? failManifestNotFound(hold.namespace, hold.digest)
  return { totalSizeBytes, fileCount }
}
