// Handles Ctrl-C: the first lets the command clean up, the second ends it at once. Both print how to resume.
import type { Command } from 'commander'
import { EXIT } from './cli-error.ts'

/** The end of the message after an interruption. */
export const RESUME_HINT = 'run the same command again to resume'

/** The time that a command has to clean up. */
const CLEANUP_MS = 2_000

export class Interrupted extends Error {
  override name = 'Interrupted'
  override message = 'interrupted'
}

export function interruptible(command: Command): AbortSignal {
  const controller = new AbortController()
  const end = () => process.exit(printInterrupted(command))
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) end()
      controller.abort(new Interrupted())
      setTimeout(end, CLEANUP_MS).unref()
    })
  }
  return controller.signal
}

export function printInterrupted(command: Command | undefined): number {
  process.stderr.write(`modelkeep: interrupted${isResumable(command) ? `; ${RESUME_HINT}` : ''}\n`)
  return EXIT.interrupted
}

export function isResumable(command: Command | undefined): boolean {
  return ['push', 'pull'].includes(command?.name() ?? '')
}
