// A Modelkeep service as the process that runs it sees it, and the life of that process.
import type { DescService } from '@bufbuild/protobuf'
import type { ConnectRouter } from '@connectrpc/connect'
import { once } from 'node:events'
import { processEnvironment } from '../process/env.ts'
import type { ZeroCopyMethod } from '../byte-streams/handler.ts'
import type { Authenticate } from './gate.ts'
import type { HealthOptions } from './health.ts'
import type { Address } from './listen.ts'
import { logLibraryOutput } from '../process/library-output.ts'
import type { Logger } from '../process/log.ts'
import type { AnswerPlain } from './plain-http.ts'
import type { RecordRefusal } from './refusals.ts'
import { serve } from './serve.ts'

export interface Service {
  /** Descriptors of its RPC services. */
  services: DescService[]
  routes: (router: ConnectRouter) => void
  authenticate: Authenticate
  recordRefusal: RecordRefusal
  check: HealthOptions['check']
  /** Methods that the zero-copy handler serves: they carry bytes, or are called very often. */
  zeroCopyMethods?: ZeroCopyMethod[]
  /** Handler of plain HTTP GET requests. */
  plain?: AnswerPlain
  /** Stops background jobs and closes connections. Called after the last call has ended. */
  close: () => Promise<void>
}

export interface ProcessOptions extends Address {
  name: string
  drainSeconds: number
  logger: Logger
  /** Aborted when the process drains, so that endless streams end. */
  draining: AbortController
}

/** npm forwards the Ctrl-C that the terminal also sends to the process, so signals this close together are one stop. */
const SAME_STOP_MS = 1_000

let stop: AbortController | undefined

/** Returns a signal that SIGTERM or SIGINT aborts, with the name as the reason; a later one ends the process at once. All
 * signals are handled here, from the first call on. */
export function stopSignal(): AbortSignal {
  if (stop) return stop.signal
  const controller = (stop = new AbortController())
  let since = Infinity
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (performance.now() - since > SAME_STOP_MS) process.exit(1)
      since = Math.min(since, performance.now())
      controller.abort(name)
    })
  }
  // npm sends SIGTERM to the shell in between, which does not forward it; so the process ends when its parent has.
  if (processEnvironment()['npm_lifecycle_event']) endWithParent(() => controller.abort('end of npm'))
  return controller.signal
}

function endWithParent(end: () => void): void {
  const parent = process.ppid
  const poll = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(poll)
    end()
  }, PARENT_POLL_MS)
  poll.unref()
}

const PARENT_POLL_MS = 500

/** Serves until SIGTERM or SIGINT, then drains. */
export async function runUntilSignal(
  service: Service,
  options: ProcessOptions,
  onServing: (port: number) => Promise<void> | void = () => {},
): Promise<void> {
  const { logger, draining } = options
  const signal = stopSignal()
  using _console = logLibraryOutput(logger)
  const served = await serve({ ...service, logger, draining: draining.signal }, options)
  logger.info({ host: options.host, port: served.port }, 'serving')
  await onServing(served.port)
  if (!signal.aborted) await once(signal, 'abort')
  logger.info({ signal: signal.reason as unknown }, 'draining')
  draining.abort()
  await served.close(options.drainSeconds * 1000)
  await service.close()
  logger.info('stopped')
}
