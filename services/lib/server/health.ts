// grpc.health.v1, for load balancers, Kubernetes and grpc_health_probe.
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect'
import { setTimeout as sleep } from 'node:timers/promises'
import { Health, HealthCheckResponse_ServingStatus as Status } from '#gen/health/v1/health_pb.ts'

export interface HealthOptions {
  /** Full names of the services in this process. The empty name means all of them. */
  services: string[]
  /** Rejects or returns false while the named service, or for an empty name the process, cannot do its work. `late` is
   * aborted once the result is no longer awaited. */
  check: (service: string, late: AbortSignal) => Promise<boolean>
  /** Time limit of a check, after which the process counts as not serving. Default 5,000. */
  checkWithinMs?: number | undefined
  /** Aborted when the process begins to drain. */
  draining: AbortSignal
}

const WATCH_EVERY_MS = 2_000
const CHECK_WITHIN_MS = 5_000

export function healthRoutes(options: HealthOptions): (router: ConnectRouter) => void {
  const known = ['', ...options.services]
  return (router) => {
    router.service(Health, {
      async check({ service }) {
        if (!known.includes(service)) throw new ConnectError(`service "${service}" not found`, Code.NotFound)
        return { status: await healthStatus(options, service) }
      },
      async list() {
        const entries = known.map(async (service) => [service, { status: await healthStatus(options, service) }])
        return { statuses: Object.fromEntries(await Promise.all(entries)) as Record<string, { status: Status }> }
      },
      async *watch({ service }, context) {
        let last: Status | undefined
        const signal = AbortSignal.any([context.signal, options.draining])
        while (!context.signal.aborted) {
          const status = known.includes(service) ? await healthStatus(options, service) : Status.SERVICE_UNKNOWN
          if (status !== last) yield { status }
          last = status
          if (options.draining.aborted) return
          await sleep(WATCH_EVERY_MS, undefined, { signal }).catch(() => undefined)
        }
      },
    })
  }
}

export async function healthStatus(
  { check, draining, checkWithinMs = CHECK_WITHIN_MS }: Omit<HealthOptions, 'services'>,
  service = '',
): Promise<Status> {
  if (draining.aborted) return Status.NOT_SERVING
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), checkWithinMs).unref()
  const isLate = new Promise<false>((resolve) => late.signal.addEventListener('abort', () => resolve(false)))
  const healthy = await Promise.race([check(service, late.signal).catch(() => false), isLate])
  clearTimeout(timer)
  return healthy ? Status.SERVING : Status.NOT_SERVING
}
