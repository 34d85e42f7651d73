// Output of libraries. Some print to the console or emit process warnings, without an option for a logger: kysely does
// when a statement is cancelled.
import { format } from 'node:util'
import type { Logger } from './log.ts'

const METHODS = ['error', 'warn', 'info', 'debug'] as const

/** Logs what libraries print and the warnings of the process, so that every line on standard error is JSON. Leaves
 * `console.log` alone, which writes to standard output. Disposing of the result restores the console. */
export function logLibraryOutput(logger: Logger): Disposable {
  const original = { ...console }
  const warnings = process.listeners('warning')
  const onWarning = (warning: Error): void => logger.warn({ library: true }, `${warning.name}: ${warning.message}`)
  for (const method of METHODS) {
    const level = method === 'error' ? 'warn' : method
    console[method] = (...parts: unknown[]) => logger[level]({ library: true }, format(...parts))
  }
  process.removeAllListeners('warning').on('warning', onWarning)
  return {
    [Symbol.dispose]() {
      Object.assign(console, original)
      process.off('warning', onWarning)
      for (const listener of warnings) process.on('warning', listener)
    },
  }
}
