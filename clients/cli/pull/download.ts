// One file of a pull: what is on disk is verified, the rest is fetched from there on and verified as it comes.
import { Code, ConnectError } from '@connectrpc/connect'
import { createHash, type Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import type { Blob } from '#gen/modelkeep/artifact/v1/blob_pb.ts'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import type { Progress } from '../progress.ts'
import { unary, type Registry } from '../registry.ts'
import { retry } from '../retry.ts'
import { distrust, type RemoteFile } from './manifest.ts'
import { PartCheck } from './part-check.ts'

const READ_BYTES = 1024 * 1024
/** A server that sends nothing for so long is as good as gone. */
const STALL_MS = 60_000
/** How often bytes that turn out wrong are fetched again before the server is not believed any more. */
const WRONG_BYTES_TRIES = 3

export interface Download {
  namespace: string
  file: RemoteFile
  handle: FileHandle
  progress: Progress
}

/** How far the file on disk goes and is right as far as can be told. */
interface State {
  offset: number
  /** Of everything before the offset. */
  hash: Hash
  check?: PartCheck | undefined
  /** How many bytes came over the line. */
  received: number
  /** How often a part was wrong. */
  wrongParts: number
}

/** How many bytes came over the line. */
export async function download(registry: Registry, job: Download): Promise<number> {
  const { file, handle, progress } = job
  const state: State = { offset: 0, hash: createHash('sha256'), received: 0, wrongParts: 0 }
  const present = Math.min((await handle.stat()).size, file.size)
  if (present > 0) await verifyPresent(registry, job, state, present)
  progress.begin(file.path, file.size, state.offset)
  for (let tries = 1; ; tries += 1) {
    await fetchRest(registry, job, state)
    await handle.truncate(file.size)
    if (`sha256:${state.hash.copy().digest('hex')}` === file.digest) break
    if (tries === WRONG_BYTES_TRIES) {
      await handle.truncate(0)
      distrust(`«${file.path}» does not have the digest ${file.digest}`)
    }
    progress.advance(file.path, -state.offset)
    Object.assign(state, { offset: 0, hash: createHash('sha256'), check: undefined })
  }
  await handle.sync()
  progress.end(file.path)
  return state.received
}

/** Reads what an earlier pull wrote. With part digests it ends before the first wrong part; without them the digest of
 * the whole decides in the end. */
async function verifyPresent(registry: Registry, job: Download, state: State, present: number): Promise<void> {
  const { namespace, file, handle } = job
  const request = { namespace, digest: file.digest }
  const { blob } = await registry.artifact(BlobService).getBlob(request, unary(registry))
  state.check = new PartCheck(blob!, file, state)
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  while (state.offset < present) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(READ_BYTES, present - state.offset), state.offset)
    if (bytesRead === 0) return
    registry.signal.throwIfAborted()
    if (!state.check.take(buffer.subarray(0, bytesRead))) return
  }
}

async function fetchRest(registry: Registry, job: Download, state: State): Promise<void> {
  let reached = state.offset
  const hasProgressed = (): boolean => {
    const progressed = state.offset > reached
    reached = Math.max(reached, state.offset)
    return progressed
  }
  while (state.offset < job.file.size) {
    await retry({ signal: registry.signal, hasProgressed }, () => fetchFrom(registry, job, state))
    if (state.wrongParts >= WRONG_BYTES_TRIES) distrust(`wrong bytes of «${job.file.path}» come again and again`)
  }
}

/** One stream, from the offset on; ends early at a wrong part, and the offset is then where that part begins. */
async function fetchFrom(
  registry: Registry,
  { namespace, file, handle, progress }: Download,
  state: State,
): Promise<void> {
  const stall = new AbortController()
  const timer = setTimeout(() => stall.abort(), STALL_MS)
  const request = { namespace, digest: file.digest, offset: BigInt(state.offset) }
  const signal = AbortSignal.any([registry.signal, stall.signal])
  try {
    for await (const { message } of registry.artifact(BlobService).downloadBlob(request, { signal })) {
      timer.refresh()
      if (message.case === 'header') state.check ??= new PartCheck(readHeader(message.value, file, state), file, state)
      if (message.case !== 'chunk') continue
      const { offset, check } = state
      if (!check || offset + message.value.length > file.size) distrust(`the server sends more than «${file.path}» has`)
      await writeAll(handle, message.value, offset)
      state.received += message.value.length
      const isRight = check.take(message.value)
      progress.advance(file.path, state.offset - offset)
      if (!isRight) {
        state.wrongParts += 1
        return
      }
    }
  } catch (error) {
    throw stall.signal.aborted ? new ConnectError('the server sent nothing for a minute', Code.Unavailable) : error
  } finally {
    clearTimeout(timer)
  }
  if (state.offset < file.size) throw new ConnectError('the server ended the stream early', Code.Unavailable)
}

function readHeader(header: { blob?: Blob | undefined; offset: bigint }, file: RemoteFile, state: State): Blob {
  const { blob, offset } = header
  if (!blob || blob.digest !== file.digest || blob.sizeBytes !== BigInt(file.size) || offset !== BigInt(state.offset)) {
    distrust(`the server sends something else than «${file.path}»`)
  }
  return blob
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < chunk.length;) {
    const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, position + done)
    done += bytesWritten
  }
}
