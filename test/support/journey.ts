// The main job of a client: upload bytes, create a manifest, register a version, move an alias, download.
import { createHash, randomUUID } from 'node:crypto'
import { BlobService } from '../../gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { ManifestService } from '../../gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { LogService } from '../../gen/modelkeep/audit/v1/log_service_pb.ts'
import type { LogEntry } from '../../gen/modelkeep/audit/v1/event_pb.ts'
import { ModelService } from '../../gen/modelkeep/metadata/v1/model_service_pb.ts'
import type { Version } from '../../gen/modelkeep/metadata/v1/version_pb.ts'
import { VersionService } from '../../gen/modelkeep/metadata/v1/version_service_pb.ts'
import type { Suite } from './suite.ts'

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export const CHUNK_BYTES = 1024 * 1024 - 64

export async function uploadBytes(suite: Suite, bytes: Uint8Array, namespace = 'default'): Promise<string> {
  const digest = digestOf(bytes)
  async function* messages() {
    const header = { namespace, digest, sizeBytes: BigInt(bytes.length) }
    yield { message: { case: 'header' as const, value: header } }
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      yield { message: { case: 'chunk' as const, value: bytes.subarray(at, at + CHUNK_BYTES) } }
    }
  }
  await suite.client(BlobService).uploadBlob(messages())
  return digest
}

export async function createManifest(
  suite: Suite,
  files: Record<string, Uint8Array>,
  namespace = 'default',
): Promise<string> {
  const list = []
  for (const [path, bytes] of Object.entries(files)) {
    list.push({ path, digest: await uploadBytes(suite, bytes, namespace), sizeBytes: BigInt(bytes.length) })
  }
  const { manifest } = await suite.client(ManifestService).createManifest({ namespace, files: list })
  return manifest!.digest
}

export async function createModel(suite: Suite, name: string, namespace = 'default'): Promise<void> {
  await suite.client(ModelService).createModel({ namespace, name, requestId: randomUUID() })
}

/** A version of one file. */
export async function createVersion(
  suite: Suite,
  model: string,
  bytes: Uint8Array,
  requestId = randomUUID(),
): Promise<Version> {
  const manifestDigest = await createManifest(suite, { 'model.bin': bytes })
  const { version } = await suite.client(VersionService).createVersion({
    model: modelRef(model),
    manifestDigest,
    requestId,
  })
  return version!
}

export function modelRef(model: string, namespace = 'default') {
  return { ref: { case: 'name' as const, value: { namespace, model } } }
}

export async function download(suite: Suite, digest: string, address?: string): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  const client = suite.client(BlobService, address ? { address } : {})
  for await (const { message } of client.downloadBlob({ namespace: 'default', digest })) {
    if (message.case === 'chunk') chunks.push(message.value)
  }
  return Buffer.concat(chunks)
}

/** The whole log, oldest first. */
export async function readLog(suite: Suite, filter = ''): Promise<LogEntry[]> {
  const entries: LogEntry[] = []
  let pageToken = ''
  do {
    const page = await suite.client(LogService).listEntries({ filter, orderBy: 'index', pageSize: 1000, pageToken })
    entries.push(...page.entries)
    pageToken = page.nextPageToken
  } while (pageToken !== '')
  return entries
}
