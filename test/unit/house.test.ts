// What the linter cannot see: folders that become too full, and files that no test or service reaches.
import { execFileSync } from 'node:child_process'
import { dirname } from 'node:path'
import { expect, test } from 'vitest'

const FILES = execFileSync('git', ['ls-files', 'services', 'clients'], { encoding: 'utf8' }).trim().split('\n')
const MAX_FILES = 15

test('no folder has more files than a reader can take in', () => {
  const folders = Map.groupBy(FILES, (file) => dirname(file))
  const full = [...folders].filter(([, files]) => files.length > MAX_FILES)
  expect(full.map(([folder, files]) => `${folder}: ${files.length}`)).toEqual([])
})
