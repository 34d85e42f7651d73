// Downloads one part of a file in either transfer mode, resumes it after a lost connection, and verifies its digest.
import { Code, ConnectError } from '@connectrpc/connect'
import { createHash, type Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { fromField } from '#lib/byte-streams/chunk.ts'
import type { ModeSelector } from '../transfer/mode-selector.ts'
import { StallWatch } from '../transfer/stall-watch.ts'
import { readFromStore } from '../transfer/store-http.ts'
import { isStoreError } from '../transfer/store-error.ts'
import type { Progress } from '../terminal/progress.ts'
import type { Registry } from '../connection/registry.ts'
import { retry } from '../connection/retry.ts'
import { failIntegrity, type RemoteFile } from './manifest.ts'
import type { FilePart } from './parts.ts'
import type { DownloadPlan } from './download-plan.ts'

/** The time without a byte after which a stream counts as lost. */
const STREAM_STALL_MS = 60_000
/** Number of downloads with wrong bytes after which the pull fails. */
const WRONG_BYTES_TRIES = 3
/** Up to this size, the request for a signed URL takes longer than it saves. */
const SMALL_BYTES = 16 * 1024 * 1024 - 1

export interface PartJob {
  registry: Registry
  namespace: string
  modes: ModeSelector
  plan: DownloadPlan
  file: RemoteFile
  handle: FileHandle
  progress: Progress
}

/** The stored bytes of a part and their running hash. */
export interface PartProgress {
  done: number
  hash: Hash
}

export function emptyProgress(): PartProgress {
  return { done: 0, hash: createHash('sha256') }
}

/** Returns the number of bytes that were downloaded. */
export async function fetchPart(job: PartJob, part: FilePart, start = emptyProgress()): Promise<number> {
  const state = { ...start, received: 0 }
  for (let wrong = 0; ;) {
    await fetchRest(job, part, state, wrong > 0)
    if (state.hash.digest().equals(part.sha256)) return state.received
    wrong += 1
    job.progress.advance(job.file.path, -state.done)
    if (wrong === WRONG_BYTES_TRIES) failIntegrity(`bytes of "${job.file.path}" were wrong ${WRONG_BYTES_TRIES} times`)
    Object.assign(state, emptyProgress())
  }
}

type State = PartProgress & { received: number }

/** `distrusted`: the bytes were wrong before. The part is then streamed, because the service verifies what it streams. */
async function fetchRest(job: PartJob, part: FilePart, state: State, distrusted: boolean): Promise<void> {
  const { registry, modes } = job
  const { signal } = registry
  if (state.done === part.size) return
  const streamFirst = distrusted || job.file.size <= SMALL_BYTES
  let reached = state.done
  const hasProgressed = (): boolean => {
    const progressed = state.done > reached
    reached = state.done
    return progressed
  }
  await modes.run(
    signal,
    {
      direct: () => fetchDirect(job, part, state),
      stream: () =>
        retry({ signal, hasProgressed }, () => receive(job, part, state, readStream(job, part, state.done))),
    },
    { streamFirst },
  )
}

async function fetchDirect(job: PartJob, part: FilePart, state: State): Promise<void> {
  const { modes, plan, registry } = job
  const read = (request: Awaited<ReturnType<DownloadPlan['request']>>) => {
    const range = { from: part.offset + state.done, to: part.offset + part.size }
    return receive(job, part, state, readFromStore(modes.settings, request, range, registry.signal))
  }
  const request = await plan.request()
  try {
    await read(request)
  } catch (error) {
    if (!isStoreError(error) || error.status !== 403) throw error
    await read(await plan.renew(request))
  }
  modes.reportSuccess()
}

async function* readStream(job: PartJob, part: FilePart, done: number): AsyncGenerator<Uint8Array> {
  const { registry, namespace, file } = job
  using watch = new StallWatch(STREAM_STALL_MS, registry.signal)
  const offset = BigInt(part.offset + done)
  const request = { namespace, digest: file.digest, offset, length: BigInt(part.size - done) }
  try {
    for await (const { message } of registry.artifact(BlobService).downloadBlob(request, { signal: watch.signal })) {
      watch.reportProgress()
      if (message.case === 'header' && message.value.offset !== offset) {
        failIntegrity(`server returned another part of "${file.path}" than requested`)
      }
      if (message.case === 'chunk') yield* fromField(message.value).pieces
      watch.reportProgress()
    }
  } catch (error) {
    throw watch.stalled ? new ConnectError('server sent nothing for a minute', Code.Unavailable) : error
  }
}

/** Writes and hashes the received bytes. */
async function receive(job: PartJob, part: FilePart, state: State, source: AsyncIterable<Uint8Array>): Promise<void> {
  const { file, handle, progress } = job
  for await (const chunk of source) {
    if (state.done + chunk.length > part.size) failIntegrity(`server sent more bytes than "${file.path}" has`)
    await writeAll(handle, chunk, part.offset + state.done)
    state.hash.update(chunk)
    state.done += chunk.length
    state.received += chunk.length
    progress.advance(file.path, chunk.length)
  }
  if (state.done < part.size) throw new ConnectError('download ended early', Code.Unavailable)
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done)
    done += bytesWritten
  }
}
