#!/usr/bin/env node
// The verifier alone, for machines without the registry: node clients/cli/audit/main.ts verify FILE --key VKEY. It is
// what `modelkeep audit` runs, and needs Node and this repository's files, but no package.
import { parseArgs } from 'node:util'
import { Complaint, complainUsage, EXIT } from '../complaint.ts'
import { verifyFile, verifyFiles, type Report } from './offline.ts'
import { readKey } from './read-key.ts'
import { watchLog } from './watch-log.ts'

const USAGE = `usage: verify EXPORT|PROOF --key VKEY
       consistency OLD NEW --key VKEY
       monitor ADDRESS --key VKEY --state FILE [--once] [--every SECONDS] [--stale-after SECONDS] [--token TOKEN]`

function parse(argv: string[]) {
  const text = { type: 'string' } as const
  const options = { key: text, state: text, every: text, 'stale-after': text, token: text, once: { type: 'boolean' } }
  try {
    return parseArgs({
      args: argv,
      options: options as typeof options & { once: { type: 'boolean' } },
      allowPositionals: true,
    })
  } catch (error) {
    complainUsage((error as Error).message, USAGE)
  }
}

async function run(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv)
  const [command, first = '', second = ''] = positionals
  const { key, state } = values
  if (key === undefined) complainUsage('--key is missing', USAGE)
  const count = positionals.length
  if (command === 'verify' && count === 2) return print(await verifyFile(first, await readKey(key)))
  if (command === 'consistency' && count === 3) return print(await verifyFiles(first, second, await readKey(key)))
  if (command !== 'monitor' || count !== 2 || state === undefined) complainUsage('what shall be done?', USAGE)
  const { 'stale-after': staleAfter, ...rest } = values
  const options = { ...rest, key, state, ...(staleAfter !== undefined && { staleAfter }) }
  await watchLog(first, options, print, (line) => console.error(line), new AbortController().signal)
}

function print({ lines }: Report): void {
  for (const line of lines) console.log(line)
}

try {
  await run(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof Complaint)) throw error
  console.error(error.hint ? `${error.message}\n${error.hint}` : error.message)
  process.exitCode = EXIT[error.exit]
}
