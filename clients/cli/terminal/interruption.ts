// Ctrl-C: the first lets the command clean up, the second ends it at once. Whichever way it ends, it says how to go on.
import type { Command } from 'commander'
import { EXIT } from './cli-error.ts'

/** The end of the message after an interruption. */
export const RESUME_HINT = 'run the same command again to resume'

/** How long a command may clean up. */
const PATIENCE_MS = 2_000

export class Interrupted extends Error {
  override name = 'Interrupted'
  override message = 'interrupted'
}

export function interruptible(command: Command): AbortSignal {
  const controller = new AbortController()
  const end = () => process.exit(tellInterrupted(command))
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) end()
      controller.abort(new Interrupted())
      setTimeout(end, PATIENCE_MS).unref()
    })
  }
  return controller.signal
}

export function tellInterrupted(command: Command | undefined): number {
  process.stderr.write(`modelkeep: interrupted${goesOn(command) ? `; ${RESUME_HINT}` : ''}\n`)
  return EXIT.interrupted
}

export function goesOn(command: Command | undefined): boolean {
  return ['push', 'pull'].includes(command?.name() ?? '')
}
