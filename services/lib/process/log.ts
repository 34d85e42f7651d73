// Structured logs: one JSON object per line, on standard error.
import { destination, levels, pino, stdSerializers, type DestinationStream, type Logger } from 'pino'

export type { Logger }

/** Lines are written together once they fill a page, or after this time. */
const BATCH_BYTES = 4096
const BATCH_MS = 100
/** If the reader of standard error stands still, further lines are dropped. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024

/** `stream` defaults to standard error, which is written behind the calls that log. Warnings and errors are written at
 * once; all other lines within a tenth of a second, and before the process exits. */
export function createLogger(service: string, level: string, stream?: DestinationStream): Logger {
  const standardError = stream ? undefined : openStandardError()
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
      hooks: {
        logMethod(input, method, levelNumber) {
          method.apply(this, input)
          if (levelNumber >= WARN) standardError?.flush()
        },
      },
    },
    stream ?? standardError,
  )
}

const WARN = levels.values['warn']!

function openStandardError() {
  return destination({
    fd: 2,
    sync: false,
    minLength: BATCH_BYTES,
    periodicFlush: BATCH_MS,
    maxLength: MAX_WAITING_BYTES,
  })
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
