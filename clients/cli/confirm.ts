// Asking before something cannot be undone.
import { createInterface } from 'node:readline/promises'
import { complainUsage, Complaint } from './complaint.ts'

export async function confirm(question: string, yes: boolean): Promise<void> {
  if (yes) return
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    complainUsage('this cannot be undone', 'Say that you mean it with --yes.')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question(`${question} [y/N] `)
  terminal.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new Complaint('failed', 'nothing was deleted')
}
