// Tests of the mutation run on a small source tree.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Bench } from '../mutate/bench.ts'
import { REPOSITORY, type Fault } from '../mutate/faults.ts'
import { screenFaults } from '../mutate/screen.ts'
import { describeChange, drawTable } from '../mutate/table.ts'
import { tryFaults } from '../mutate/trial.ts'

const SUM = 'services/lib/sum.ts'
const FILES = {
  'package.json': '{ "type": "module" }\n',
  '.gitignore': 'node_modules\n',
  'tsconfig.json':
    '{ "compilerOptions": { "noEmit": true, "strict": true, "allowImportingTsExtensions": true, "types": [] }, "include": ["services"] }\n',
  [SUM]: `export function sum(values: number[]): number {
  let total = 0
  for (const value of values) total += value
  return total
}
`,
  'test/unit/sum.test.ts': `import { expect, test } from 'vitest'
import { sum } from '../../services/lib/sum.ts'
test('adds up', () => expect(sum([1, 2])).toBe(3))
`,
  'test/unit/broken.test.ts': `import { expect, test } from 'vitest'
test('fails', () => expect(1).toBe(2))
`,
  'test/unit/skipped.test.ts': `import { test } from 'vitest'
test.skip('is left out', () => {})
`,
  'vitest.config.ts': `export default { test: { include: ['test/**/*.test.ts'] } }\n`,
}

let tree: string
let bench: Bench

beforeAll(async () => {
  tree = await mkdtemp(join(tmpdir(), 'modelkeep-small-'))
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(tree, path)), { recursive: true })
    await writeFile(join(tree, path), text)
  }
  await symlink(join(REPOSITORY, 'node_modules'), join(tree, 'node_modules'))
  await promisify(execFile)('git', ['init', '--quiet'], { cwd: tree })
  bench = await Bench.open({ tree, database: false })
})

afterAll(async () => {
  await bench?.close()
  await rm(tree, { recursive: true })
})

function fault(find: string, replace: string, ...tests: string[]): Fault {
  return { room: 'lib', file: SUM, find, replace, tests, says: `${find} becomes ${replace}.` }
}

test('catches a fault that a test notices, and reports a harmless one as a survivor', async () => {
  const faults = [
    fault('total += value', 'total -= value', 'test/unit/sum.test.ts'),
    fault('let total = 0', 'let total = -0', 'test/unit/sum.test.ts'),
    fault('return total', 'return total + 1', 'test/unit/sum.test.ts'),
  ]
  const results = await tryFaults(faults, { benches: [bench] })
  expect(results.map(({ outcome }) => outcome)).toEqual(['caught', 'survived', 'caught'])
  expect(results[0]!.why).toContain('adds up')
  expect(drawTable(results)).toMatch(/^lib +3 +2 +1 +0 /m)
  expect(await readFile(join(tree, SUM), 'utf8')).toBe(FILES[SUM])
})

test.each([
  ['whose tests fail without it', fault('let total = 0', 'let total = 1', 'test/unit/broken.test.ts'), /fails without/],
  ['of which no test runs', fault('let total = 0', 'let total = 1', 'test/unit/skipped.test.ts'), /no test ran/],
  ['whose text is not there', fault('let sum = 0', 'let sum = 1', 'test/unit/sum.test.ts'), /occurs 0 times/],
  ['whose text is there twice', fault('total', 'sum', 'test/unit/sum.test.ts'), /occurs 3 times/],
  ['that is no TypeScript', fault('let total = 0', 'let = = 0', 'test/unit/sum.test.ts'), /./],
])('reports an entry %s as wrong', async (_, entry, why) => {
  expect(await tryFaults([entry], { benches: [bench] })).toMatchObject([
    { outcome: 'wrong', why: expect.stringMatching(why) },
  ])
})

test('stops a run that hangs, and continues', async () => {
  const endless = fault('let total = 0', 'let total = 0; for (;;);', 'test/unit/sum.test.ts')
  await bench.run('test/unit/sum.test.ts', 60)
  expect(await bench.try(endless, 'test/unit/sum.test.ts', 0.5)).toMatchObject({ hung: true, passed: 0 })
  expect(await bench.run('test/unit/sum.test.ts', 60)).toMatchObject({ hung: false, passed: 1 })
})

test('shows the changed lines of a fault', () => {
  const lines = describeChange(fault('one\n  two\nthree', 'one\n  four\nthree'))
  expect(lines.map((line) => line.trim())).toEqual(['- two', '+ four'])
})

test('excludes faults that the compiler or the linter rejects', async () => {
  const sound = fault('total += value', 'total -= value')
  expect(await screenFaults([sound], tree)).toEqual([sound])
  expect(await screenFaults([fault('let total = 0', "let total = '0'")], tree)).toEqual([])
  expect(await screenFaults([fault('return total', 'debugger; return total')], tree)).toEqual([])
})
