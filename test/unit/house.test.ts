// Rules that the linter cannot check: the number of files in a folder.
import { execFileSync } from 'node:child_process'
import { dirname } from 'node:path'
import { expect, test } from 'vitest'

const FILES = execFileSync('git', ['ls-files', 'services', 'clients'], { encoding: 'utf8' }).trim().split('\n')
const MAX_FILES = 15

test('no folder has more than 15 files', () => {
  const folders = Map.groupBy(FILES, (file) => dirname(file))
  const full = [...folders].filter(([, files]) => files.length > MAX_FILES)
  expect(full.map(([folder, files]) => `${folder}: ${files.length}`)).toEqual([])
})
