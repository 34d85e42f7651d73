// grpc.health.v1, for load balancers, Kubernetes and grpc_health_probe.
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect'
import { setTimeout as sleep } from 'node:timers/promises'
import { Health, HealthCheckResponse_ServingStatus as Status } from '#gen/health/v1/health_pb.ts'

export interface HealthOptions {
  /** Rejects or returns false while the named service, or for an empty name the process, cannot do its work. `late` is
   * aborted once the result is no longer awaited. */
  check: (service: string, late: AbortSignal) => Promise<boolean>
  /** Time limit of a check, after which the process counts as not serving. Default 5,000. */
  checkWithinMs?: number | undefined
  /** How long a result is used by all who request it. Default 1,000. */
  healthCachedMs?: number | undefined
  /** Aborted when the process begins to drain. */
  draining: AbortSignal
}

const WATCH_EVERY_MS = 2_000
const CHECK_WITHIN_MS = 5_000
const CACHED_MS = 1_000

/** `services`: full names of the services in this process. The empty name means all of them. */
export function healthRoutes(health: HealthMonitor, services: string[]): (router: ConnectRouter) => void {
  const { draining } = health
  const known = ['', ...services]
  return (router) => {
    router.service(Health, {
      async check({ service }) {
        if (!known.includes(service)) throw new ConnectError(`service "${service}" not found`, Code.NotFound)
        return { status: await health.status(service) }
      },
      async list() {
        const entries = known.map(async (service) => [service, { status: await health.status(service) }])
        return { statuses: Object.fromEntries(await Promise.all(entries)) as Record<string, { status: Status }> }
      },
      async *watch({ service }, context) {
        let last: Status | undefined
        const signal = AbortSignal.any([context.signal, draining])
        while (!context.signal.aborted) {
          const status = known.includes(service) ? await health.status(service) : Status.SERVICE_UNKNOWN
          if (status !== last) yield { status }
          last = status
          if (draining.aborted) return
          await sleep(WATCH_EVERY_MS, undefined, { signal }).catch(() => undefined)
        }
      },
    })
  }
}

interface Result {
  status: Promise<Status>
  /** Infinite while the check runs. */
  until: number
}

/** Checks on request, and at most once at a time and in a second, however many request it: nobody needs a token for that. */
export class HealthMonitor {
  readonly draining: AbortSignal
  readonly #check: HealthOptions['check']
  readonly #withinMs: number
  readonly #cachedMs: number
  readonly #results = new Map<string, Result>()

  constructor({ check, checkWithinMs = CHECK_WITHIN_MS, healthCachedMs = CACHED_MS, draining }: HealthOptions) {
    this.draining = draining
    this.#check = check
    this.#withinMs = checkWithinMs
    this.#cachedMs = healthCachedMs
  }

  /** The state of a known service; of the process without a name. */
  async status(service = ''): Promise<Status> {
    if (this.draining.aborted) return Status.NOT_SERVING
    const recent = this.#results.get(service)
    if (recent && performance.now() < recent.until) return recent.status
    const result = { status: this.#run(service), until: Infinity }
    this.#results.set(service, result)
    const status = await result.status
    result.until = performance.now() + this.#cachedMs
    return status
  }

  async #run(service: string): Promise<Status> {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), this.#withinMs).unref()
    const isLate = new Promise<false>((resolve) => late.signal.addEventListener('abort', () => resolve(false)))
    const healthy = await Promise.race([Promise.try(this.#check, service, late.signal).catch(() => false), isLate])
    clearTimeout(timer)
    return healthy ? Status.SERVING : Status.NOT_SERVING
  }
}
