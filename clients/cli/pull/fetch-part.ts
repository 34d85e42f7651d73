// One part of a file: fetched by either lane, gone on with where a connection broke, and proved by its digest.
import { Code, ConnectError } from '@connectrpc/connect'
import { createHash, type Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { fromField } from '#lib/byte-streams/chunk.ts'
import type { Lanes } from '../transfer/lanes.ts'
import { StallWatch } from '../transfer/stall-watch.ts'
import { readFromStore } from '../transfer/store-http.ts'
import { isStoreProblem } from '../transfer/store-problem.ts'
import type { Progress } from '../terminal/progress.ts'
import type { Registry } from '../connection/registry.ts'
import { retry } from '../connection/retry.ts'
import { distrust, type RemoteFile } from './manifest.ts'
import type { FilePart } from './parts.ts'
import type { Plan } from './plan.ts'

/** A server that sends nothing for so long is as good as gone. */
const STREAM_STALL_MS = 60_000
/** How often bytes that turn out wrong are fetched again before the server is not believed any more. */
const WRONG_BYTES_TRIES = 3
/** Up to here asking for a signature takes longer than it saves. */
const SMALL_BYTES = 16 * 1024 * 1024 - 1

export interface PartJob {
  registry: Registry
  namespace: string
  lanes: Lanes
  plan: Plan
  file: RemoteFile
  handle: FileHandle
  progress: Progress
}

/** How far a part on disk goes, and the hash of it. */
export interface Begun {
  done: number
  hash: Hash
}

export function nothingBegun(): Begun {
  return { done: 0, hash: createHash('sha256') }
}

/** How many bytes came over the line. */
export async function fetchPart(job: PartJob, part: FilePart, begun = nothingBegun()): Promise<number> {
  const state = { ...begun, received: 0 }
  for (let wrong = 0; ;) {
    await fetchRest(job, part, state, wrong > 0)
    if (state.hash.digest().equals(part.sha256)) return state.received
    wrong += 1
    job.progress.advance(job.file.path, -state.done)
    if (wrong === WRONG_BYTES_TRIES) distrust(`bytes of "${job.file.path}" were wrong ${WRONG_BYTES_TRIES} times`)
    Object.assign(state, nothingBegun())
  }
}

type State = Begun & { received: number }

/** `distrusted`: bytes were wrong; the service itself compares what it sends, and says what is broken. */
async function fetchRest(job: PartJob, part: FilePart, state: State, distrusted: boolean): Promise<void> {
  const { registry, lanes } = job
  const { signal } = registry
  if (state.done === part.size) return
  const streamFirst = distrusted || job.file.size <= SMALL_BYTES
  let reached = state.done
  const hasProgressed = (): boolean => {
    const progressed = state.done > reached
    reached = state.done
    return progressed
  }
  await lanes.move(
    signal,
    {
      direct: () => fetchDirect(job, part, state),
      stream: () => retry({ signal, hasProgressed }, () => take(job, part, state, readStream(job, part, state.done))),
    },
    { streamFirst },
  )
}

async function fetchDirect(job: PartJob, part: FilePart, state: State): Promise<void> {
  const { lanes, plan, registry } = job
  const read = (request: Awaited<ReturnType<Plan['request']>>) => {
    const range = { from: part.offset + state.done, to: part.offset + part.size }
    return take(job, part, state, readFromStore(lanes.settings, request, range, registry.signal))
  }
  const request = await plan.request()
  try {
    await read(request)
  } catch (error) {
    if (!isStoreProblem(error) || error.status !== 403) throw error
    await read(await plan.renew(request))
  }
  lanes.succeeded()
}

async function* readStream(job: PartJob, part: FilePart, done: number): AsyncGenerator<Uint8Array> {
  const { registry, namespace, file } = job
  using watch = new StallWatch(STREAM_STALL_MS, registry.signal)
  const offset = BigInt(part.offset + done)
  const request = { namespace, digest: file.digest, offset, length: BigInt(part.size - done) }
  try {
    for await (const { message } of registry.artifact(BlobService).downloadBlob(request, { signal: watch.signal })) {
      watch.moved()
      if (message.case === 'header' && message.value.offset !== offset) {
        distrust(`server returned another part of "${file.path}" than requested`)
      }
      if (message.case === 'chunk') yield* fromField(message.value).pieces
      watch.moved()
    }
  } catch (error) {
    throw watch.stalled ? new ConnectError('server sent nothing for a minute', Code.Unavailable) : error
  }
}

/** Writes and hashes what comes. */
async function take(job: PartJob, part: FilePart, state: State, source: AsyncIterable<Uint8Array>): Promise<void> {
  const { file, handle, progress } = job
  for await (const chunk of source) {
    if (state.done + chunk.length > part.size) distrust(`server sent more bytes than "${file.path}" has`)
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
