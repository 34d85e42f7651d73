import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { finishPartial, preparePath } from '../../clients/cli/pull/partial.ts'
import { findFiles, type LocalFile } from '../../clients/cli/push/files.ts'
import { requireListable } from '../../clients/cli/push/register.ts'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'modelkeep-files-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

async function write(...paths: string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), path)
  }
}

test('finds the files of all directories except .git, in the order of their paths', async () => {
  await write('b/y', 'a', 'b/c/d/z', 'b/x', '.git/HEAD', 'b/.git/HEAD', '.hidden')
  await symlink('b/x', join(directory, 'link'))
  const files = await findFiles(directory)
  expect(files.map(({ path }) => path)).toEqual(['.hidden', 'a', 'b/c/d/z', 'b/x', 'b/y', 'link'])
  expect(files.at(-1)).toMatchObject({ file: files[3]!.file, size: 3 })
})

test('finds more files in a subdirectory than a call stack has room for', async () => {
  const count = 20_000
  await mkdir(join(directory, 'shards'))
  for (let index = 0; index < count; index += 1) writeFileSync(join(directory, 'shards', String(index)), '')
  const program = `import { findFiles } from './clients/cli/push/files.ts'
    console.log((await findFiles(process.argv[1])).length)`
  // A stack of 150 KiB has room for about 19,000 references.
  const options = ['--no-warnings', '--stack-size=150', '--input-type=module', '-e', program, directory]
  expect(execFileSync(process.execPath, options, { encoding: 'utf8' }).trim()).toBe(String(count))
})

test('rejects a path of more than 32 segments, and no empty directory', async () => {
  const deepest = `${'d/'.repeat(31)}file`
  await write(deepest)
  await mkdir(join(directory, 'e/'.repeat(40)), { recursive: true })
  expect((await findFiles(directory)).map(({ path }) => path)).toEqual([deepest])
  await write(`d/${deepest}`)
  await expect(findFiles(directory)).rejects.toThrow(`path "d/${deepest}" has more than 32 segments`)
})

test('rejects a list of files that no request can hold, before anything is sent', () => {
  const listOf = (count: number): LocalFile[] =>
    Array.from({ length: count }, (_, index) => ({ file: '', path: `shards/${index}`, size: 7, fingerprint: '' }))
  expect(() => requireListable('default', listOf(40_000))).not.toThrow()
  const message = 'the list of 60000 files has 5.2 MiB; at most 4.0 MiB are allowed'
  expect(() => requireListable('default', listOf(60_000))).toThrow(message)
})

test('prepares the directories of a pull once', async () => {
  const prepared = new Set<string>()
  for (const path of ['a/b/x', 'a/b/y', 'a/c', 'z']) {
    expect(await preparePath(directory, path, prepared)).toBe(join(directory, path))
  }
  expect([...prepared]).toEqual([join(directory, 'a'), join(directory, 'a', 'b')])
  expect(await readdir(join(directory, 'a'))).toEqual(['b'])
})

test('a pull retains the directories of its files, however deep, and removes the others', async () => {
  const wanted = [`${'d/'.repeat(100)}file`, 'd/e/file', 'file']
  await write(...wanted, 'd/e/other', 'x/y/other')
  await finishPartial(directory, wanted)
  const left = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = left.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  expect(files.sort()).toEqual(wanted.map((path) => join(directory, path)).sort())
  expect(left.filter((entry) => entry.isDirectory())).toHaveLength(101)
})
