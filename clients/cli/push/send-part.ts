// Uploads one part of a blob in either transfer mode.
import type { FileHandle } from 'node:fs/promises'
import type { Upload } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { putToStore } from '../transfer/store-http.ts'
import { retry } from '../connection/retry.ts'
import type { DirectParts } from './direct-parts.ts'
import { requireUnchanged, type HashedFile } from './files.ts'
import { readPart, type PartBody } from './part-body.ts'
import type { Outcome, Part, PushContext } from './push-context.ts'

interface PartJob extends PushContext {
  file: HashedFile
  handle: FileHandle
  upload: Upload
  direct: DirectParts
}

export async function sendPart(job: PartJob, part: Part): Promise<Outcome> {
  const { signal } = job.registry
  const body = await readPart(job.handle, part, signal)
  return job.modes.run(signal, {
    direct: () => sendDirect(job, part, body),
    stream: () => job.slots.run(signal, () => retry({ signal }, () => sendStream(job, part, body))),
  })
}

function sendDirect(job: PartJob, part: Part, { sha256, chunks }: PartBody): Promise<Outcome> {
  const { registry, modes, slots, direct } = job
  const { signal } = registry
  return trackProgress(job, (onSent) =>
    direct.upload({ ...part, sha256 }, (request) =>
      slots.run(signal, async () => {
        const etag = await putToStore(modes.settings, request, { body: chunks(), onSent }, signal)
        modes.reportSuccess()
        return etag
      }),
    ),
  )
}

function sendStream(job: PartJob, { number }: Part, { sha256, chunks }: PartBody): Promise<Outcome> {
  const { registry, upload } = job
  return trackProgress<Outcome>(job, async (onSent) => {
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

/** Subtracts failed uploads from the progress, and reports a changed file, which explains most failures. */
async function trackProgress<T>(
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
    await requireUnchanged(file)
    throw error
  }
}
