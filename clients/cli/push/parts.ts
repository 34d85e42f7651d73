// Uploads one blob in parts, each retried alone. A new process resumes with the parts that have arrived.
import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Upload } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import { CliError } from '../terminal/cli-error.ts'
import { forEach } from '../transfer/concurrency.ts'
import { unary, type Registry } from '../connection/registry.ts'
import { DirectParts } from './direct-parts.ts'
import { requireUnchanged, type HashedFile } from './files.ts'
import { sendPart } from './send-part.ts'
import type { Part, PushContext } from './push-context.ts'

/** Maximum number of parts of one blob in flight; the shared semaphores may allow fewer. */
const AT_ONCE = 8
const ROUNDS = 3
const POLL_MS = 500
/** Timeout of CompleteUpload, long enough to read the blob once. */
const COMPLETE_TIMEOUT_MS = 60 * 60 * 1000
/** Reasons to start the upload again: it was completed by another push of the same bytes, or expired. */
const RESTART_REASONS = ['UPLOAD_NOT_FOUND', 'UPLOAD_CLOSED', 'PARTS_MISSING']

/** Returns the number of bytes that were sent. */
export async function sendParts(context: PushContext, file: HashedFile): Promise<number> {
  const { registry, progress } = context
  progress.begin(file.path, file.size)
  let sent = 0
  for (let round = 1; ; round += 1) {
    const upload = await startUpload(context, file)
    if (!upload) break
    try {
      const missing = missingParts(upload)
      if (round === 1) progress.advance(file.path, file.size - missing.reduce((sum, { size }) => sum + size, 0))
      sent += await sendMissing(context, file, upload, missing)
      await requireUnchanged(file)
      await completeUpload(registry, upload)
      break
    } catch (error) {
      await requireUnchanged(file)
      if (round === ROUNDS || !RESTART_REASONS.includes(reasonOf(error)?.reason ?? '')) throw error
    }
  }
  progress.end(file.path)
  return sent
}

/** Returns undefined if the blob already exists. */
async function startUpload({ registry, namespace }: PushContext, file: HashedFile): Promise<Upload | undefined> {
  const request = { namespace, digest: file.digest, sizeBytes: BigInt(file.size) }
  const { result } = await registry.artifact(UploadService).startUpload(request, unary(registry))
  if (result.case !== 'upload') return undefined
  const { partSizeBytes, partCount } = result.value
  if (partSizeBytes < 1n || BigInt(partCount) * partSizeBytes < BigInt(file.size)) {
    throw new CliError('failed', 'server divides the upload into parts that do not add up to the file')
  }
  return result.value
}

function missingParts({ parts, partCount, partSizeBytes, sizeBytes }: Upload): Part[] {
  const arrived = new Set(parts.map(({ number }) => number))
  return Array.from({ length: partCount }, (_, index) => {
    const offset = index * Number(partSizeBytes)
    return { number: index + 1, offset, size: Math.min(Number(partSizeBytes), Number(sizeBytes) - offset) }
  }).filter(({ number }) => !arrived.has(number))
}

/** Ends early if another upload has stored the blob in the meantime. */
async function sendMissing(context: PushContext, file: HashedFile, upload: Upload, missing: Part[]): Promise<number> {
  const { registry, inMemory } = context
  await using handle = await open(file.file)
  const isThere = new AbortController()
  let sent = 0
  const direct = new DirectParts(registry, upload.id, missing.length)
  const work = (part: Part, signal: AbortSignal): Promise<void> =>
    inMemory.run(signal, async () => {
      const job = { ...context, registry: { ...registry, signal }, file, handle, upload, direct }
      if ((await sendPart(job, part)) === 'not needed') return isThere.abort()
      sent += part.size
    })
  const either = AbortSignal.any([registry.signal, isThere.signal])
  await forEach(missing, AT_ONCE, either, work).catch((error: unknown) => {
    if (!isThere.signal.aborted || registry.signal.aborted) throw error
  })
  return sent
}

/** Retries while another call completes the upload, and takes over if that call fails. */
async function completeUpload(registry: Registry, { id }: Upload): Promise<void> {
  for (;;) {
    try {
      const options = unary(registry, COMPLETE_TIMEOUT_MS)
      return void (await registry.artifact(UploadService).completeUpload({ uploadId: id }, options))
    } catch (error) {
      if (reasonOf(error)?.reason !== 'UPLOAD_BUSY') throw error
    }
    await sleep(POLL_MS, undefined, { signal: registry.signal })
  }
}
