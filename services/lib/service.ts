// What a Modelkeep service is to the process that runs it.
import type { DescService } from '@bufbuild/protobuf'
import type { ConnectRouter } from '@connectrpc/connect'
import type { Authenticate, RecordDenial } from './gate.ts'
import type { Logger } from './log.ts'
import { serve } from './serve.ts'

export interface Service {
  /** The RPC services it offers. */
  services: DescService[]
  routes: (router: ConnectRouter) => void
  authenticate: Authenticate
  recordDenial: RecordDenial
  /** Whether it can do its work. */
  check: () => Promise<boolean>
  /** Ends background work and closes what it holds, after the last call has ended. */
  close: () => Promise<void>
}

export interface ProcessOptions {
  name: string
  host: string
  port: number
  drainSeconds: number
  logger: Logger
  /** Told to the services, so that endless streams end when the process drains. */
  draining: AbortController
}

/** Serves until SIGTERM or SIGINT, then drains. Signals are handled here and nowhere else. */
export async function runUntilSignal(
  service: Service,
  options: ProcessOptions,
  onServing: (port: number) => Promise<void> | void = () => {},
): Promise<void> {
  const { logger, draining } = options
  const served = await serve({ ...service, logger, draining: draining.signal }, options)
  logger.info({ host: options.host, port: served.port }, 'serving')
  await onServing(served.port)
  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name))
  })
  logger.info({ signal }, 'draining')
  draining.abort()
  await served.close(options.drainSeconds * 1000)
  await service.close()
  logger.info('stopped')
}
