// `npm run service -- witness`: cosigns the checkpoints of logs, with its own key and state.
import { once } from 'node:events'
import type { Environment } from '#lib/process/env.ts'
import { createLogger } from '#lib/process/log.ts'
import { findVerifier, formatVerifierKey, KEY_TYPE } from '#lib/tlog/note.ts'
import { stopSignal } from '#lib/server/service.ts'
import { readWitnessSettings } from './config.ts'
import { serveWitness } from './server.ts'
import { StateDirectory } from './store/state.ts'

export async function runWitness(environment: Environment): Promise<void> {
  const settings = readWitnessSettings(environment)
  const { name, key, logs, directory } = settings
  const logger = createLogger('witness', settings.logLevel)
  const vkey = formatVerifierKey(name, key, KEY_TYPE.cosignature)
  const signal = stopSignal()
  const state = new StateDirectory(directory)
  const cosigner = findVerifier(vkey, KEY_TYPE.cosignature)!
  const served = await serveWitness({ cosigner, key, logs, state, logger, now: Date.now }, settings)
  logger.info({ host: settings.host, port: served.port, vkey, logs: [...logs.keys()] }, 'serving')
  if (!signal.aborted) await once(signal, 'abort')
  logger.info({ signal: signal.reason as unknown }, 'draining')
  await served.close(settings.drainSeconds * 1000)
  logger.info('stopped')
}
