import { expect, test, vi } from 'vitest'
import { logLibraryOutput } from '#lib/process/library-output.ts'
import { createLogger } from '#lib/process/log.ts'

test('logs console output and process warnings until it is disposed of', async () => {
  const lines: Record<string, unknown>[] = []
  const logger = createLogger('stub', 'debug', { write: (line) => void lines.push(JSON.parse(line)) })
  const before = { console: { ...console }, listeners: process.listeners('warning') }
  {
    using _console = logLibraryOutput(logger)
    console.error('statement %s failed', 'a')
    console.debug('details')
    process.emitWarning('old API', 'DeprecationWarning')
    await vi.waitFor(() => expect(lines).toHaveLength(3))
  }
  expect(lines).toMatchObject([
    { level: 'warn', message: 'statement a failed' },
    { level: 'debug', message: 'details' },
    { level: 'warn', message: 'DeprecationWarning: old API' },
  ])
  expect({ console: { ...console }, listeners: process.listeners('warning') }).toEqual(before)
})
