#!/usr/bin/env node
// The verifier as a program: node clients/verifier/main.ts verify FILE --key VKEY. It needs Node, this folder and
// services/lib/tlog, but no package. `modelkeep audit` runs the same code.
import { parseArgs } from 'node:util'
import { VerifierError, failUsage, EXIT } from './verifier-error.ts'
import { verifyFile, verifyFiles, type Report } from './verify-file.ts'
import { readTrust } from './read-trust.ts'
import { watchLog } from './monitor/watch-log.ts'

const USAGE = `usage: verify EXPORT|PROOF TRUST
       consistency OLD NEW TRUST
       monitor ADDRESS TRUST --state FILE [--once] [--every SECONDS] [--stale-after SECONDS] [--token TOKEN]
where TRUST is --key VKEY, which may be repeated, or --policy FILE, or both`

function parse(argv: string[]) {
  const text = { type: 'string' } as const
  const options = { policy: text, state: text, every: text, 'stale-after': text, token: text } as const
  try {
    return parseArgs({
      args: argv,
      options: { ...options, key: { type: 'string', multiple: true }, once: { type: 'boolean' } },
      allowPositionals: true,
    })
  } catch (error) {
    failUsage((error as Error).message, USAGE)
  }
}

async function run(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv)
  const [command, first = '', second = ''] = positionals
  const { key, policy, state } = values
  const trust = { key, policy }
  const count = positionals.length
  if (command === 'verify' && count === 2) return print(await verifyFile(first, await readTrust(trust)))
  if (command === 'consistency' && count === 3) return print(await verifyFiles(first, second, await readTrust(trust)))
  if (command !== 'monitor' || count !== 2 || state === undefined) failUsage('arguments match no command', USAGE)
  const { 'stale-after': staleAfter, ...rest } = values
  const options = { ...rest, state, ...(staleAfter !== undefined && { staleAfter }) }
  await watchLog(first, options, print, (line) => console.error(line), new AbortController().signal)
}

function print({ lines }: Report): void {
  for (const line of lines) console.log(line)
}

try {
  await run(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof VerifierError)) throw error
  console.error(error.hint ? `${error.message}\n${error.hint}` : error.message)
  process.exitCode = EXIT[error.exit]
}
