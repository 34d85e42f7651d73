// Measures the latency of resolves at a steady rate while another principal lists and watches.
import { createClient } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { Health } from '#gen/health/v1/health_pb.ts'
import { percentile, type Figures } from '../figures.ts'
import { listCall, resolveCall } from './calls.ts'
import { measureOpenLoop, openGrpc } from './load.ts'
import type { Subject } from './subjects.ts'
import type { World } from './world.ts'

const PER_SECOND = 500
const LISTERS = 4
const WATCHES = 50
const PAGE = 50

export async function measureLatency(
  figures: Figures,
  world: World,
  { model }: Subject,
  milliseconds: number,
): Promise<void> {
  const { address } = world.metadata
  const own = await openGrpc(address, world.token)
  const other = await openGrpc(address, world.token)
  const over = new AbortController()
  const health = createClient(Health, createGrpcTransport({ baseUrl: address }))
  const watch = async (): Promise<void> => {
    for await (const _status of health.watch({}, { signal: over.signal })) if (over.signal.aborted) return
  }
  const list = async (): Promise<void> => {
    const call = listCall('gRPC', model, PAGE)
    while (!over.signal.aborted) await other.call(call)
  }
  const load = [
    ...Array.from({ length: WATCHES }, () => watch().catch(() => undefined)),
    ...Array.from({ length: LISTERS }, list),
  ]
  const call = resolveCall('gRPC', model, { case: 'alias', value: 'production' })
  await measureOpenLoop(() => own.call(call), PER_SECOND, milliseconds / 4)
  const times = await measureOpenLoop(() => own.call(call), PER_SECOND, milliseconds)
  over.abort()
  await Promise.all(load)
  own.close()
  other.close()
  figures.report(`resolve at ${PER_SECOND}/s beside lists and watches, p50`, percentile(times, 50), 'ms')
  figures.report(`resolve at ${PER_SECOND}/s beside lists and watches, p99`, percentile(times, 99), 'ms', { most: 25 })
}
