// One folder for the temporary files of a test run, so that none of them outlives it. Tests, and the processes that inherit
// their environment, find it as `os.tmpdir()`.
import { mkdtempSync, chmodSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export default function setup(): void {
  const directory = mkdtempSync(join(tmpdir(), 'modelkeep-tests-'))
  // PostgreSQL runs as another user if root starts it.
  chmodSync(directory, 0o755)
  process.env['TMPDIR'] = directory
  // The set-up of the single projects ends later than this one, and its servers still write until then.
  process.once('exit', () => rmSync(directory, { recursive: true, force: true, maxRetries: 10 }))
}
