import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  GarbageKind,
  GarbageSchema,
  type Garbage as PresentedGarbage,
} from '#gen/modelkeep/artifact/v1/maintenance_pb.ts'
import {
  CollectGarbageResponseSchema,
  type CollectGarbageRequest,
  type CollectGarbageResponse,
} from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { inTransaction } from '#lib/store/database.ts'
import { parseNamespace } from '../../domain/namespace.ts'
import { collect, type CollectOptions, type Garbage } from '../../store/garbage/collect.ts'
import { previewGarbage } from '../../store/garbage/preview.ts'
import { sweepOrphans } from '../../store/garbage/orphans.ts'
import type { Backend } from '../../deps.ts'
import { byCaller } from '../../changes/by-caller.ts'

export async function* collectGarbage(
  backend: Backend,
  request: CollectGarbageRequest,
  context: HandlerContext,
): AsyncGenerator<CollectGarbageResponse> {
  accessOf(context).requirePlatform()
  const namespace = request.namespace === '' ? undefined : parseNamespace(request.namespace, 'namespace')
  const counts: Record<string, number> = {}
  try {
    for await (const garbage of findGarbage(backend, request.dryRun, namespace, context)) {
      for (const { kind } of garbage) counts[kind] = (counts[kind] ?? 0) + 1
      yield create(CollectGarbageResponseSchema, { garbage: garbage.map(presentGarbage) })
    }
  } finally {
    if (!request.dryRun) await emitCollected(backend, context, namespace, counts)
  }
}

async function* findGarbage(
  { database, bytes, periods, closing }: Backend,
  dryRun: boolean,
  namespace: string | undefined,
  context: HandlerContext,
): AsyncGenerator<Garbage[]> {
  const stopping = AbortSignal.any([context.signal, closing])
  const { jobs } = database
  const options: CollectOptions = { ...periods, stopping, ...(namespace === undefined ? {} : { namespace }) }
  yield* dryRun ? previewGarbage(jobs, options) : collect(jobs, byCaller(context), options)
  if (namespace !== undefined) return
  yield* sweepOrphans(jobs, bytes, byCaller(context), { ...periods, stopping, dryRun })
}

async function emitCollected(
  { database, relay, janitor }: Backend,
  context: HandlerContext,
  namespace: string | undefined,
  counts: Record<string, number>,
): Promise<void> {
  await inTransaction(database, undefined, async (em) => {
    const resource = { type: 'store', id: 'garbage', namespace: namespace ?? '', name: namespace ?? '*' }
    byCaller(context)(em, { type: 'garbage.collected.v1', resource, details: counts })
  })
  relay.wake()
  janitor.wake()
}

function presentGarbage({ kind, namespace, name, sizeBytes }: Garbage): PresentedGarbage {
  return create(GarbageSchema, { kind: GarbageKind[kind], namespace, name, sizeBytes: BigInt(sizeBytes) })
}
