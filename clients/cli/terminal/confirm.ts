// The confirmation that a command requests before a change that cannot be undone.
import { createInterface } from 'node:readline/promises'
import { failUsage, CliError } from './cli-error.ts'

/** `action`: what the command is about to do, such as `delete vad:2`. */
export async function confirm(action: string, yes: boolean): Promise<void> {
  if (yes) return
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    failUsage(`confirmation is missing to ${action}; this cannot be undone`, 'Confirm with --yes.')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question(`${action.charAt(0).toUpperCase()}${action.slice(1)}? [y/N] `)
  terminal.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('failed', 'cancelled; nothing was changed')
}
