// The commands cache show and clear.
import { rm } from 'node:fs/promises'
import { cacheRoot, cacheSize, findProblem } from '../../cache/settings.ts'
import { listEntries } from '../../cache/evict.ts'
import { CliError } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { bytes, facts } from '../../terminal/output.ts'
import { environment } from '../../settings.ts'

export async function cacheShow({ output }: Context): Promise<void> {
  const directory = cacheRoot(environment())
  const maxBytes = cacheSize({}, environment())
  const entries = await listEntries(directory)
  const heldBytes = entries.reduce((sum, { size }) => sum + size, 0)
  if (output.json) return output.document({ directory, files: entries.length, heldBytes, maxBytes })
  output.write(
    facts([
      ['directory', directory],
      ['files', String(entries.length)],
      ['used', bytes(heldBytes)],
      ['limit', maxBytes === 0 ? 'disabled' : bytes(maxBytes)],
    ]),
  )
}

export async function cacheClear({ output }: Context): Promise<void> {
  const directory = cacheRoot(environment())
  const problem = await findProblem(directory)
  if (problem) throw new CliError('failed', `${directory}: ${problem}`)
  const entries = await listEntries(directory)
  await rm(directory, { recursive: true, force: true })
  const freedBytes = entries.reduce((sum, { size }) => sum + size, 0)
  if (output.json) return output.document({ directory, files: entries.length, freedBytes })
  output.write(`removed ${entries.length} files, ${bytes(freedBytes)}, from ${directory}`)
}
