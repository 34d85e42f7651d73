import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { compileCache } from '../support/compile-cache.ts'

const REPOSITORY = resolve(import.meta.dirname, '..', '..')

test('the demo succeeds on its own server, and the pulled model detects the voice', { timeout: 180_000 }, async () => {
  const { PATH, HOME, TMPDIR } = process.env
  const env = { PATH, HOME, TMPDIR, MODELKEEP_DATA: '/nonexistent', NO_COLOR: '1', ...compileCache() }
  const { stdout } = await promisify(execFile)(process.execPath, [join('clients', 'cli', 'demo', 'demo.ts')], {
    cwd: REPOSITORY,
    env,
  })
  expect(stdout).toContain('Started a Modelkeep server of its own')
  expect(stdout).toMatch(/silence +speech probability 0\.0/)
  expect(stdout).toMatch(/synthetic voice +speech probability 0\.9/)
  expect(stdout).toContain('All steps succeeded.')
})
