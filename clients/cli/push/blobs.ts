// Uploads missing blobs: small files in one stream each, large files in parts.
import { open } from 'node:fs/promises'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { forEach, Semaphore } from '../transfer/concurrency.ts'
import { unary, type Registry } from '../connection/registry.ts'
import { retry } from '../connection/retry.ts'
import { readChunks } from './chunks.ts'
import { requireUnchanged, type HashedFile } from './files.ts'
import { sendParts } from './parts.ts'
import type { PushContext } from './push-context.ts'

/** Up to this size a blob is uploaded in one stream, as little is lost with the connection. */
const SMALL_BYTES = 16 * 1024 * 1024
/** Maximum number of small blobs in flight: store and database sync once for all that arrive together. */
const SMALL_AT_ONCE = 48
/** The total size of the small blobs in flight. */
const SMALL_BYTES_AT_ONCE = 8 * SMALL_BYTES
/** Maximum number of large blobs in flight, so that parts of the next are uploaded while one is completed. */
const LARGE_AT_ONCE = 4
/** Maximum number of parts in flight, of all blobs. */
const PARTS_AT_ONCE = 4
/** Maximum number of parts in memory: in flight, or being read and hashed. */
const PARTS_IN_MEMORY = 8
const BATCH = 1_000

export interface Sent {
  sentBytes: number
  existingBytes: number
}

/** Returns the files whose blobs the namespace lacks, each digest once. */
export async function findMissing(registry: Registry, namespace: string, files: HashedFile[]): Promise<HashedFile[]> {
  const byDigest = new Map(files.map((file) => [file.digest, file]))
  const digests = [...byDigest.keys()]
  const missing: HashedFile[] = []
  for (let at = 0; at < digests.length; at += BATCH) {
    const request = { namespace, digests: digests.slice(at, at + BATCH) }
    const { missingDigests } = await registry.artifact(BlobService).findMissingBlobs(request, unary(registry))
    for (const digest of missingDigests) {
      const file = byDigest.get(digest)
      if (file) missing.push(file)
    }
  }
  return missing
}

/** Uploads the files. Returns the number of bytes that were sent. */
export async function sendBlobs(
  registry: Registry,
  namespace: string,
  files: HashedFile[],
  { modes, progress }: Pick<PushContext, 'modes' | 'progress'>,
): Promise<number> {
  const [slots, inMemory] = [new Semaphore(PARTS_AT_ONCE), new Semaphore(PARTS_IN_MEMORY)]
  const context = { registry, namespace, modes, slots, inMemory, progress }
  let sent = 0
  const send = (width: number, chosen: HashedFile[], way: typeof sendParts) =>
    forEach(chosen, width, registry.signal, async (file, signal) => {
      const count = await way({ ...context, registry: { ...registry, signal } }, file)
      sent += count
      await requireUnchanged(file)
    })
  const memory = new Semaphore(SMALL_BYTES_AT_ONCE)
  await send(
    SMALL_AT_ONCE,
    files.filter(({ size }) => size <= SMALL_BYTES),
    (job, file) => memory.run(job.registry.signal, () => sendSmall(job, file), file.size),
  )
  await send(
    LARGE_AT_ONCE,
    files.filter(({ size }) => size > SMALL_BYTES),
    sendParts,
  )
  return sent
}

/** Uploads in one stream, or in parts if the server accepts no streams. */
async function sendSmall(context: PushContext, file: HashedFile): Promise<number> {
  if (context.modes.needsDirect) return sendParts(context, file)
  try {
    return await sendWhole(context, file)
  } catch (error) {
    if (!context.modes.recordStreamClosed(error)) throw error
    return sendParts(context, file)
  }
}

async function sendWhole({ registry, namespace, progress }: PushContext, file: HashedFile): Promise<number> {
  progress.begin(file.path, file.size)
  await using handle = await open(file.file)
  const { existed } = await retry({ signal: registry.signal }, async () => {
    let counted = 0
    const messages = async function* () {
      const header = { namespace, digest: file.digest, sizeBytes: BigInt(file.size) }
      yield { message: { case: 'header' as const, value: header } }
      for await (const chunk of readChunks(handle, 0, file.size)) {
        counted += chunk.length
        progress.advance(file.path, chunk.length)
        yield { message: { case: 'chunk' as const, value: chunk } }
      }
    }
    try {
      return await registry.artifact(BlobService).uploadBlob(messages(), { signal: registry.signal })
    } catch (error) {
      progress.advance(file.path, -counted)
      await requireUnchanged(file)
      throw error
    }
  })
  progress.end(file.path)
  return existed ? 0 : file.size
}
