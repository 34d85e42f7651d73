// One large blob in parts: four at a time, each tried again alone. A new process goes on with the parts that have arrived.
import { open, type FileHandle } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { UploadState, type Upload } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { reasonOf } from '#lib/fault.ts'
import { Complaint } from '../complaint.ts'
import { forEach } from '../pool.ts'
import type { Progress } from '../progress.ts'
import { unary, type Registry } from '../registry.ts'
import { retry } from '../retry.ts'
import { hashRange, readChunks } from './chunks.ts'
import { refuseChanged, type HashedFile } from './files.ts'

const AT_ONCE = 4
const ROUNDS = 3
const POLL_MS = 500
/** Completing reads the whole blob once. */
const COMPLETE_TIMEOUT_MS = 60 * 60 * 1000
const COMPLETING: UploadState[] = [UploadState.SEALING, UploadState.COMPLETING, UploadState.VERIFYING]
/** The upload ended meanwhile, perhaps well: by another push of the same bytes, or swept away. Starting anew tells. */
const START_AGAIN = ['UPLOAD_NOT_FOUND', 'UPLOAD_CLOSED', 'PARTS_MISSING']

/** How many bytes went over the line. */
export async function sendParts(
  registry: Registry,
  namespace: string,
  file: HashedFile,
  progress: Progress,
): Promise<number> {
  await using handle = await open(file.file)
  progress.begin(file.path, file.size)
  let sent = 0
  for (let round = 1; ; round += 1) {
    const upload = await startUpload(registry, namespace, file)
    if (!upload) break
    try {
      const missing = missingParts(upload)
      if (round === 1) progress.advance(file.path, file.size - missing.reduce((sum, { size }) => sum + size, 0))
      let isThere = false
      const needed = function* () {
        for (const part of missing) if (!isThere) yield part
      }
      await forEach(needed(), AT_ONCE, registry.signal, async (part, signal) => {
        const existed = await sendPart({ ...registry, signal }, upload, part, { file, handle, progress })
        if (existed) isThere = true
        else sent += part.size
      })
      await refuseChanged(file)
      await completeUpload(registry, upload)
      break
    } catch (error) {
      await refuseChanged(file)
      if (round === ROUNDS || !START_AGAIN.includes(reasonOf(error)?.reason ?? '')) throw error
    }
  }
  progress.end(file.path)
  return sent
}

/** Undefined when the blob is there already. */
async function startUpload(registry: Registry, namespace: string, file: HashedFile): Promise<Upload | undefined> {
  const request = { namespace, digest: file.digest, sizeBytes: BigInt(file.size) }
  const { result } = await registry.artifact(UploadService).startUpload(request, unary(registry))
  if (result.case !== 'upload') return undefined
  const { partSizeBytes, partCount } = result.value
  if (partSizeBytes < 1n || BigInt(partCount) * partSizeBytes < BigInt(file.size)) {
    throw new Complaint('failed', 'the server divides the upload into parts that do not make the whole')
  }
  return result.value
}

interface Part {
  number: number
  offset: number
  size: number
}

function missingParts({ parts, partCount, partSizeBytes, sizeBytes }: Upload): Part[] {
  const arrived = new Set(parts.map(({ number }) => number))
  return Array.from({ length: partCount }, (_, index) => {
    const offset = index * Number(partSizeBytes)
    return { number: index + 1, offset, size: Math.min(Number(partSizeBytes), Number(sizeBytes) - offset) }
  }).filter(({ number }) => !arrived.has(number))
}

interface Reading {
  file: HashedFile
  handle: FileHandle
  progress: Progress
}

/** True when the registry got the whole from somebody else meanwhile. */
async function sendPart(registry: Registry, upload: Upload, part: Part, reading: Reading): Promise<boolean> {
  const { file, handle, progress } = reading
  const { number, offset, size } = part
  const sha256 = await hashRange(handle, offset, size)
  return retry({ signal: registry.signal }, async () => {
    let counted = 0
    const messages = async function* () {
      yield { message: { case: 'header' as const, value: { uploadId: upload.id, number, sha256 } } }
      for await (const chunk of readChunks(handle, offset, size)) {
        counted += chunk.length
        progress.advance(file.path, chunk.length)
        yield { message: { case: 'chunk' as const, value: chunk } }
      }
    }
    try {
      const { existed } = await registry.artifact(UploadService).writePart(messages(), { signal: registry.signal })
      return existed
    } catch (error) {
      progress.advance(file.path, -counted)
      await refuseChanged(file)
      throw error
    }
  })
}

async function completeUpload(registry: Registry, { id }: Upload): Promise<void> {
  const uploads = registry.artifact(UploadService)
  for (;;) {
    try {
      await uploads.completeUpload({ uploadId: id }, unary(registry, COMPLETE_TIMEOUT_MS))
      return
    } catch (error) {
      if (reasonOf(error)?.reason !== 'UPLOAD_BUSY') throw error
    }
    await whileCompleting(registry, id)
  }
}

async function whileCompleting(registry: Registry, uploadId: string): Promise<void> {
  for (;;) {
    await sleep(POLL_MS, undefined, { signal: registry.signal })
    const { upload } = await registry.artifact(UploadService).getUpload({ uploadId }, unary(registry))
    if (!upload || !COMPLETING.includes(upload.state)) return
  }
}
