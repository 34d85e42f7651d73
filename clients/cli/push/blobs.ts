// Sends what the registry lacks: small files in one stream each, large ones in parts.
import { open } from 'node:fs/promises'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { forEach, Slots } from '../transfer/pool.ts'
import { unary, type Registry } from '../connection/registry.ts'
import { retry } from '../connection/retry.ts'
import { readChunks } from './chunks.ts'
import { refuseChanged, type HashedFile } from './files.ts'
import { sendParts } from './parts.ts'
import type { Sending } from './sending.ts'

/** Up to here a blob goes in one stream: what is lost with a connection is soon sent again. */
const SMALL_BYTES = 16 * 1024 * 1024
/** Of small blobs: the disks of store and database are waited for at each, and once for all that come together. */
const SMALL_AT_ONCE = 48
/** Of all small blobs under way. */
const SMALL_BYTES_AT_ONCE = 8 * SMALL_BYTES
/** Of large blobs: while one is being completed, the parts of the next are on their way. */
const LARGE_AT_ONCE = 4
/** Of parts on their way, over all blobs. */
const PARTS_AT_ONCE = 4
/** Those and the next, which are read and hashed meanwhile. */
const PARTS_HELD = 8
const BATCH = 1_000

export interface Sent {
  sentBytes: number
  existingBytes: number
}

/** The blobs among `files` that the namespace lacks, each once. */
export async function findMissing(registry: Registry, namespace: string, files: HashedFile[]): Promise<HashedFile[]> {
  const byDigest = new Map(files.map((file) => [file.digest, file]))
  const digests = [...byDigest.keys()]
  const missing: HashedFile[] = []
  for (let at = 0; at < digests.length; at += BATCH) {
    const request = { namespace, digests: digests.slice(at, at + BATCH) }
    const { missingDigests } = await registry.artifact(BlobService).findMissingBlobs(request, unary(registry))
    missing.push(...missingDigests.flatMap((digest) => byDigest.get(digest) ?? []))
  }
  return missing
}

/** Sends them; how many bytes really went over the line comes back. */
export async function sendBlobs(
  registry: Registry,
  namespace: string,
  files: HashedFile[],
  { lanes, progress }: Pick<Sending, 'lanes' | 'progress'>,
): Promise<number> {
  const [slots, held] = [new Slots(PARTS_AT_ONCE), new Slots(PARTS_HELD)]
  const sending = { registry, namespace, lanes, slots, held, progress }
  let sent = 0
  const send = (width: number, chosen: HashedFile[], way: typeof sendParts) =>
    forEach(chosen, width, registry.signal, async (file, signal) => {
      const count = await way({ ...sending, registry: { ...registry, signal } }, file)
      sent += count
      await refuseChanged(file)
    })
  const room = new Slots(SMALL_BYTES_AT_ONCE)
  await send(
    SMALL_AT_ONCE,
    files.filter(({ size }) => size <= SMALL_BYTES),
    (job, file) => room.run(job.registry.signal, () => sendSmall(job, file), file.size),
  )
  await send(
    LARGE_AT_ONCE,
    files.filter(({ size }) => size > SMALL_BYTES),
    sendParts,
  )
  return sent
}

/** In one stream, where the server takes streams. */
async function sendSmall(sending: Sending, file: HashedFile): Promise<number> {
  if (sending.lanes.needsDirect) return sendParts(sending, file)
  try {
    return await sendWhole(sending, file)
  } catch (error) {
    if (!sending.lanes.learnClosed(error)) throw error
    return sendParts(sending, file)
  }
}

async function sendWhole({ registry, namespace, progress }: Sending, file: HashedFile): Promise<number> {
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
      await refuseChanged(file)
      throw error
    }
  })
  progress.end(file.path)
  return existed ? 0 : file.size
}
