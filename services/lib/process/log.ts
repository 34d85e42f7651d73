// Structured logs: one JSON object per line, on standard error.
import { destination, pino, stdSerializers, type DestinationStream, type Logger } from 'pino'

export type { Logger }

/** `stream` defaults to standard error. */
export function createLogger(service: string, level: string, stream?: DestinationStream): Logger {
  return pino(
    {
      level,
      base: { service },
      messageKey: 'message',
      errorKey: 'error',
      serializers: { error: describeError },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: ['authorization', '*.authorization', 'token', 'secret', 'password'],
    },
    stream ?? destination({ fd: 2, sync: true }),
  )
}

/** PostgreSQL quotes whole rows in error details, and user data does not belong in a log. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { type, message, stack, code, reason, metadata } = stdSerializers.err(error) as Record<string, unknown>
  return { type, message: redactRows(String(message)), stack: redactRows(String(stack)), code, reason, metadata }
}

function redactRows(text: string): string {
  return text.replaceAll(/(detail|DETAIL): .*/g, '$1: withheld')
}
