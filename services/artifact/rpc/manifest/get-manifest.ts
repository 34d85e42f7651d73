import type { HandlerContext } from '@connectrpc/connect'
import type { GetManifestRequest } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { parseDigest } from '#lib/values/ids.ts'
import { forkFor } from '#lib/store/database.ts'
import { readManifest } from '../../domain/manifest.ts'
import { parseNamespace } from '../../domain/namespace.ts'
import { Manifest } from '../../store/blobs/manifest.ts'
import type { Backend } from '../../deps.ts'
import { presentManifest, requireFewForJson } from '../present.ts'
import { failManifestNotFound } from './hold.ts'

export async function getManifest(
  { database, readAudit }: Backend,
  request: GetManifestRequest,
  context: HandlerContext,
) {
  const namespace = parseNamespace(request.namespace, 'namespace')
  accessOf(context).require(namespace)
  const digest = parseDigest(request.digest, 'digest')
  const manifest = await forkFor(database, context.signal).findOne(Manifest, { namespace, digest })
  if (!manifest) failManifestNotFound(namespace, digest)
  requireFewForJson(context, manifest.content)
  await readAudit.recordManifest(context, digest)
  const files = await readManifest(Buffer.from(manifest.content), context.signal)
  return { manifest: await presentManifest(manifest, files, context.signal) }
}
