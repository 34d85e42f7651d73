// Asking before something cannot be undone.
import { createInterface } from 'node:readline/promises'
import { complainUsage, Complaint } from './cli-error.ts'

/** `deed`: what would be done, as `delete vad:2`. */
export async function confirm(deed: string, yes: boolean): Promise<void> {
  if (yes) return
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    complainUsage(`this cannot be undone: ${deed}`, 'Say that you mean it with --yes.')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question(`${deed.charAt(0).toUpperCase()}${deed.slice(1)}? [y/N] `)
  terminal.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new Complaint('failed', 'nothing was done')
}
