import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { inject } from 'vitest'
import { fetchShared } from './shared-resource.ts'

/** Copies the prepared data directory, in which the next start is not the first. Its PostgreSQL does not wait for the disk. */
export async function copyPreparedData(directory: string): Promise<void> {
  // The copy preserves owners, because PostgreSQL runs as another user if root starts it.
  await promisify(execFile)('cp', ['-a', await fetchShared<string>(inject('preparedDataUrl')), directory])
}
