// One part of a blob on its way, by either lane.
import type { FileHandle } from 'node:fs/promises'
import { DirectService } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import type { Upload } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { putToStore } from '../lanes/store-http.ts'
import { unary } from '../registry.ts'
import { retry } from '../retry.ts'
import type { Sending } from './blobs.ts'
import { refuseChanged, type HashedFile } from './files.ts'
import { readPart, type PartBody } from './part-body.ts'

export interface Part {
  number: number
  offset: number
  size: number
}

interface PartJob extends Sending {
  file: HashedFile
  handle: FileHandle
  upload: Upload
}

/** `not needed`: the registry has got the blob meanwhile. */
type Outcome = 'sent' | 'not needed'

export async function sendPart(job: PartJob, part: Part): Promise<Outcome> {
  const body = await readPart(job.handle, part)
  const { signal } = job.registry
  return job.lanes.move(signal, {
    direct: () => sendDirect(job, part, body),
    stream: () => retry({ signal }, () => sendStream(job, part, body)),
  })
}

async function sendDirect(job: PartJob, { number, size }: Part, { sha256, chunks }: PartBody): Promise<Outcome> {
  const { registry, lanes, upload } = job
  const direct = registry.artifact(DirectService)
  const uploadId = upload.id
  const { parts, blob } = await direct.signParts({ uploadId, parts: [{ number, sha256 }] }, unary(registry))
  const request = parts[0]?.request
  if (blob || !request) return 'not needed'
  return counted<Outcome>(job, async (onSent) => {
    const etag = await putToStore(lanes.settings, request, { body: chunks(), onSent }, registry.signal)
    lanes.succeeded()
    const confirmed = [{ number, sha256, etag, sizeBytes: BigInt(size) }]
    const answer = await direct.confirmParts({ uploadId, parts: confirmed }, unary(registry))
    return answer.blob ? 'not needed' : 'sent'
  })
}

function sendStream(job: PartJob, { number }: Part, { sha256, chunks }: PartBody): Promise<Outcome> {
  const { registry, upload } = job
  return counted<Outcome>(job, async (onSent) => {
    const messages = async function* () {
      yield { message: { case: 'header' as const, value: { uploadId: upload.id, number, sha256 } } }
      for await (const chunk of chunks()) {
        onSent(chunk.length)
        yield { message: { case: 'chunk' as const, value: chunk } }
      }
    }
    const { existed } = await registry.artifact(UploadService).writePart(messages(), { signal: registry.signal })
    return existed ? 'not needed' : 'sent'
  })
}

/** Takes back from the progress what was sent in vain, and tells of a file that changed, which explains most failures. */
async function counted<T>(
  { file, progress }: PartJob,
  send: (onSent: (count: number) => void) => Promise<T>,
): Promise<T> {
  let sent = 0
  try {
    return await send((count) => {
      sent += count
      progress.advance(file.path, count)
    })
  } catch (error) {
    progress.advance(file.path, -sent)
    await refuseChanged(file)
    throw error
  }
}
