// What a Modelkeep service is to the process that runs it.
import type { DescService } from '@bufbuild/protobuf'
import type { ConnectRouter } from '@connectrpc/connect'
import { once } from 'node:events'
import { processEnvironment } from '../process/env.ts'
import type { FastMethod } from '../byte-streams/handler.ts'
import type { Authenticate } from './gate.ts'
import type { HealthOptions } from './health.ts'
import type { Address } from './listen.ts'
import type { Logger } from '../process/log.ts'
import type { AnswerPlain } from './plain-http.ts'
import type { RecordRefusal } from './refusals.ts'
import { serve } from './serve.ts'

export interface Service {
  /** The RPC services it offers. */
  services: DescService[]
  routes: (router: ConnectRouter) => void
  authenticate: Authenticate
  recordRefusal: RecordRefusal
  check: HealthOptions['check']
  /** Methods that the zero-copy handler answers: they carry bytes, or are called very often. */
  fastMethods?: FastMethod[]
  /** What plain HTTP GET finds beside the RPCs. */
  plain?: AnswerPlain
  /** Ends background work and closes what it holds, after the last call has ended. */
  close: () => Promise<void>
}

export interface ProcessOptions extends Address {
  name: string
  drainSeconds: number
  logger: Logger
  /** Told to the services, so that endless streams end when the process drains. */
  draining: AbortController
}

/** npm passes on the Ctrl-C that its child gets from the terminal too: one stop comes as two signals. */
const SAME_STOP_MS = 1_000

let stop: AbortController | undefined

/** Aborted by SIGTERM or SIGINT, with the signal's name as the reason; another one later ends the process at once.
 * Signals are handled here and nowhere else, from the first call on. */
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
  // npm passes a SIGTERM to the shell between us, which does not pass it on: without its parent, the process ends too.
  if (processEnvironment()['npm_lifecycle_event']) endWithParent(() => controller.abort('end of npm'))
  return controller.signal
}

function endWithParent(end: () => void): void {
  const parent = process.ppid
  const look = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(look)
    end()
  }, PARENT_LOOK_MS)
  look.unref()
}

const PARENT_LOOK_MS = 500

/** Serves until SIGTERM or SIGINT, then drains. */
export async function runUntilSignal(
  service: Service,
  options: ProcessOptions,
  onServing: (port: number) => Promise<void> | void = () => {},
): Promise<void> {
  const { logger, draining } = options
  const signal = stopSignal()
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
