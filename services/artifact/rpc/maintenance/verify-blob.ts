import type { HandlerContext } from '@connectrpc/connect'
import { create } from '@bufbuild/protobuf'
import { Verdict } from '#gen/modelkeep/artifact/v1/maintenance_pb.ts'
import {
  VerifyBlobResponseSchema,
  type VerifyBlobRequest,
  type VerifyBlobResponse,
} from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { recordVerdict, type Problem } from '../../store/blobs/quarantine.ts'
import { verifyBytes } from '../../store/blobs/verify-bytes.ts'
import type { Backend } from '../../deps.ts'
import { requireBlobRow } from '../blob/require-blob.ts'
import { presentBlob } from '../present.ts'

export async function* verifyBlob(
  backend: Backend,
  request: VerifyBlobRequest,
  context: HandlerContext,
): AsyncGenerator<VerifyBlobResponse> {
  const { relay, closing } = backend
  const blob = await requireBlobRow(backend, request, context)
  const signal = AbortSignal.any([context.signal, closing])
  const progress = new Progress()
  const onProgress = (readBytes: number): void => progress.reach(readBytes)
  const work = verifyBytes(backend, blob, { signal, onProgress }).finally(() => progress.end())
  work.catch(() => undefined)
  for await (const readBytes of progress.steps())
    yield create(VerifyBlobResponseSchema, { readBytes: BigInt(readBytes) })
  const problem = await work
  await recordVerdict(backend, blob, problem)
  relay.wake()
  const now = await requireBlobRow(backend, request, context)
  const readBytes = BigInt(problem ? 0 : blob.sizeBytes)
  yield create(VerifyBlobResponseSchema, { readBytes, verdict: verdictOf(problem), blob: presentBlob(now) })
}

function verdictOf(problem: Problem): Verdict {
  if (problem === 'missing') return Verdict.MISSING
  return problem ? Verdict.WRONG : Verdict.RIGHT
}

/** Passes on the newest position. A slow reader misses older ones. */
class Progress {
  #newest: number | undefined
  #hasEnded = false
  #moved = Promise.withResolvers<void>()

  reach(position: number): void {
    this.#newest = position
    this.#moved.resolve()
  }

  end(): void {
    this.#hasEnded = true
    this.#moved.resolve()
  }

  async *steps(): AsyncGenerator<number> {
    for (;;) {
      await this.#moved.promise
      this.#moved = Promise.withResolvers()
      if (this.#hasEnded) return
      if (this.#newest !== undefined) yield this.#newest
      if (this.#hasEnded) return
    }
  }
}
