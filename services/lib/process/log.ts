// Structured logs: one JSON object a line on standard error.
import { destination, pino, stdSerializers, type DestinationStream, type Logger } from 'pino'

export type { Logger }

/** `stream`: standard error, if not given. */
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

/** PostgreSQL's details quote whole rows; a log has no business with what people store. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { type, message, stack, code, reason, metadata } = stdSerializers.err(error) as Record<string, unknown>
  return { type, message: withoutRows(String(message)), stack: withoutRows(String(stack)), code, reason, metadata }
}

function withoutRows(text: string): string {
  return text.replaceAll(/(detail|DETAIL): .*/g, '$1: withheld')
}
