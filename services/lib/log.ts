// Structured logs: one JSON object a line on standard error.
import { destination, pino, type Logger } from 'pino'

export type { Logger }

export function createLogger(service: string, level: string): Logger {
  return pino(
    {
      level,
      base: { service },
      messageKey: 'message',
      errorKey: 'error',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: ['authorization', '*.authorization', 'token', 'secret', 'password'],
    },
    destination({ fd: 2, sync: true }),
  )
}
