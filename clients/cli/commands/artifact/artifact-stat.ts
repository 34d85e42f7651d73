// The command artifact stat shows how much is stored, or the state of given files.
import { BlobSchema, BlobStateSchema, type Blob } from '#gen/modelkeep/artifact/v1/blob_pb.ts'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { GetStorageResponseSchema, MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import type { NamespaceStorage, Storage } from '#gen/modelkeep/artifact/v1/maintenance_pb.ts'
import type { Context } from '../../context.ts'
import { bytes, facts, jsonOf, table, time, word } from '../../terminal/output.ts'
import { forEach } from '../../transfer/concurrency.ts'
import { unary } from '../../connection/registry.ts'
import { findFiles, type StoredFile } from './artifact-files.ts'

const AT_ONCE = 8

export async function showStorage(context: Context, text: string | undefined): Promise<void> {
  if (text !== undefined) return showFiles(context, await findFiles(context, text))
  const { output } = context
  const registry = context.registry()
  const answer = await registry.artifact(MaintenanceService).getStorage({}, unary(registry))
  if (output.json) return output.document(jsonOf(GetStorageResponseSchema, answer))
  output.write(facts(storageRows(answer.storage!)))
  if (answer.namespaces.length === 0) return
  output.write(
    `\n${table(['NAMESPACE', 'LISTS', 'FILES', 'BLOBS', 'STORED', 'CONDEMNED'], answer.namespaces.map(row))}`,
  )
}

function storageRows(storage: Storage): [string, string][] {
  const { blobs, blobBytes, fileBytes } = storage
  const count = (number: bigint, size?: bigint): string =>
    number === 0n ? '' : `${number}${size === undefined ? '' : `, ${bytes(size)}`}`
  return [
    ['stored', `${blobs} blobs, ${bytes(blobBytes)}`],
    ['files', `${bytes(fileBytes)} in all versions`],
    ['shared', blobBytes > 0n ? `${(Number(fileBytes) / Number(blobBytes)).toFixed(2)} × what is stored` : ''],
    ['unfinished', count(storage.unfinishedUploads, storage.unfinishedBytes)],
    ['quarantined', count(storage.quarantinedBlobs, storage.quarantinedBytes)],
    ['pending deletion', count(storage.doomedObjects)],
  ]
}

function row(storage: NamespaceStorage): string[] {
  const { namespace, manifests, fileBytes, blobs, blobBytes, condemnedBlobs, condemnedBytes } = storage
  const condemned = condemnedBlobs === 0n ? '' : `${condemnedBlobs}, ${bytes(condemnedBytes)}`
  return [namespace, String(manifests), bytes(fileBytes), String(blobs), bytes(blobBytes), condemned]
}

async function showFiles(context: Context, files: StoredFile[]): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const blobs = new Map<StoredFile, Blob>()
  await forEach(files, AT_ONCE, registry.signal, async (file) => {
    const { namespace, digest } = file
    const { blob } = await registry.artifact(BlobService).getBlob({ namespace, digest }, unary(registry))
    blobs.set(file, blob!)
  })
  const all = files.map((file) => ({ file, blob: blobs.get(file)! }))
  if (output.json) {
    return output.document({
      files: all.map(({ file, blob }) => ({ path: file.path, blob: jsonOf(BlobSchema, blob) })),
    })
  }
  const rows = all.map(({ file, blob }) => [
    word(BlobStateSchema, blob.state),
    bytes(blob.sizeBytes),
    time(blob.createTime),
    blob.verifyTime ? time(blob.verifyTime) : 'not since',
    blob.digest,
    file.path,
  ])
  output.write(table(['STATE', 'SIZE', 'STORED', 'VERIFIED', 'DIGEST', 'FILE'], rows))
}
