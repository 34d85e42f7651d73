import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import { forkFor } from '#lib/store/database.ts'
import { countNamespaces, countStorage } from '../../store/blobs/storage.ts'
import type { Backend } from '../../deps.ts'

export async function getStorage({ database }: Backend, context: HandlerContext) {
  accessOf(context).requirePlatform()
  const em = forkFor(database.jobs, context.signal)
  const total = await countStorage(em)
  const namespaces = await countNamespaces(em)
  return {
    storage: {
      blobs: BigInt(total.blobs),
      blobBytes: BigInt(total.blob_bytes),
      fileBytes: BigInt(total.file_bytes),
      unfinishedUploads: BigInt(total.unfinished_uploads),
      unfinishedBytes: BigInt(total.unfinished_bytes),
      quarantinedBlobs: BigInt(total.quarantined_blobs),
      quarantinedBytes: BigInt(total.quarantined_bytes),
      doomedObjects: BigInt(total.doomed_objects),
    },
    namespaces: namespaces.map((row) => ({
      namespace: row.namespace,
      manifests: BigInt(row.manifests),
      fileBytes: BigInt(row.file_bytes),
      blobs: BigInt(row.blobs),
      blobBytes: BigInt(row.blob_bytes),
      condemnedBlobs: BigInt(row.condemned_blobs),
      condemnedBytes: BigInt(row.condemned_bytes),
    })),
  }
}
