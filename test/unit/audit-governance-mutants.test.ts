// Tests of the tests: replays from which one rule was taken away. Each must judge some story in another way than the real
// one, or nobody would notice if the rule were gone.
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test, vi } from 'vitest'
import { BROKEN_GATES } from '../support/broken-gates.ts'
import { BROKEN_PROMOTIONS } from '../support/broken-promotions.ts'
import { BROKEN } from '../support/broken-rules.ts'
import { by, event, role, START, token } from '../support/governed.ts'
import { KEPT } from '../support/kept-rules.ts'

vi.setConfig({ testTimeout: 120_000 })
const ROOT = join(import.meta.dirname, '..', '..')
const AUDIT = join(ROOT, 'clients', 'cli', 'audit')
const home = await mkdtemp(join(tmpdir(), 'modelkeep-rules-'))
afterAll(() => rm(home, { recursive: true, force: true }))

const TYPES = (await readFile(join(AUDIT, 'governance.ts'), 'utf8')).match(/(?<=')[a-z.]+\.v1(?=')/g)!
/** Everything, done by somebody who may only read. */
const BY_READER = [
  token('ivan'),
  role('ivan', '*', 'READER'),
  ...TYPES.map((type) =>
    event(type.replace('.v1', ''), { actor: by('ivan'), resource: { id: 'i', namespace: 'fraud', name: 'fraud/i' } }),
  ),
]
const STORIES = [
  ...[...KEPT, ...BROKEN, ...BROKEN_GATES, ...BROKEN_PROMOTIONS].map(([, events]) => [...START, ...events]),
  BY_READER,
]

/** What a line says without one of its checks, each in turn. */
function* weaken(line: string): Iterable<string> {
  // What only saves memory is not missed.
  if (/^ +(if .*\) )?(aliases|registry\.gates)\.delete\(/.test(line)) return
  // A complaint.
  if (/^ +if \(.*\) return [`']/.test(line)) yield ''
  if (/^ +return .* (\?|:) [`'].*$/.test(line)) yield 'return undefined'
  if (/^ +return \w+ && `.*$/.test(line)) yield 'return undefined'
  if (/^ +[?:] [`'].*$/.test(line)) yield line.replace(/([?:]) .*$/, '$1 undefined')
  if (/^ +return [`'].*$/.test(line)) yield 'return undefined'
  // One of several conditions.
  const [, before = '', condition = '', after = ''] = /^( +if \()(.*)(\) return .*)$/.exec(line) ?? []
  for (const sign of [' || ', ' && ']) {
    const parts = condition.split(sign)
    if (parts.length === 1 || condition.includes('(')) continue
    for (const at of parts.keys()) yield `${before}${parts.toSpliced(at, 1).join(sign)}${after}`
  }
  if (/^ +[^ ].* === .* &&$/.test(line)) yield ''
  if (/^ +[\w.[\]' ]+ === [\w.]+$/.test(line)) yield 'true'
  // A call that finds what is wrong, or keeps what is known.
  if (!/^(export )?(function|const \w+: Judge)/.test(line)) {
    for (const [call] of line.matchAll(/\b(find[A-Z]\w*|judgeActor|hasMoved)\((?:[^()]|\([^()]*\))*\)/g)) {
      yield line.replace(call, 'undefined')
    }
  }
  if (/^ +(if .*\) )?(outdate|[\w.!]+\.(set|delete|push))\(.*\)$/.test(line)) yield ''
  if (/^ +([\w.]+ = |if \(token\) )[^{]*$/.test(line)) yield ''
  // A rule of the table.
  if (/needs: '/.test(line)) yield line.replace(/needs: '\w+'/, "needs: 'READER'")
  if (/judge: [\w.]+/.test(line)) yield line.replace(/judge: [\w.]+/, 'judge: () => undefined')
  if (/^ .*grant: \w+/.test(line)) yield line.replace(/grant: \w+/, 'judge: () => undefined')
}

interface Mutant {
  name: string
  file: string
  text: string
}

async function makeMutants(files: string[]): Promise<Mutant[]> {
  const mutants: Mutant[] = []
  for (const file of files) {
    const source = (await readFile(join(AUDIT, file), 'utf8')).split('\n')
    for (const [at, line] of source.entries()) {
      for (const weaker of weaken(line)) {
        const name = `${file}:${at + 1} ${line.trim()} -> ${weaker.trim()}`
        mutants.push({ name, file, text: source.with(at, weaker).join('\n') })
      }
    }
  }
  return mutants
}

async function writeReplay(name: string, mutant?: Mutant): Promise<string> {
  const folder = join(home, name, 'clients', 'cli', 'audit')
  await mkdir(folder, { recursive: true })
  for (const file of await readdir(AUDIT)) {
    if (/^(governance.*|judged|values|event|verdict)\.ts$/.test(file)) await cp(join(AUDIT, file), join(folder, file))
  }
  await cp(join(ROOT, 'package.json'), join(home, name, 'package.json'))
  await symlink(join(ROOT, 'services'), join(home, name, 'services'))
  if (mutant) await writeFile(join(folder, mutant.file), mutant.text)
  return folder
}

test('no rule can go without being missed', async () => {
  const mutants = await makeMutants((await readdir(AUDIT)).filter((file) => file.startsWith('governance')))
  await writeFile(join(home, 'stories.json'), JSON.stringify(STORIES))
  const folders = [await writeReplay('real')]
  for (const [number, mutant] of mutants.entries()) folders.push(await writeReplay(String(number), mutant))
  const runner = join(ROOT, 'test', 'support', 'governance-runner.ts')
  await writeFile(join(home, 'folders.json'), JSON.stringify(folders))
  const files = ['stories.json', 'folders.json'].map((file) => join(home, file))
  const { stdout } = await promisify(execFile)(process.execPath, [runner, ...files], { maxBuffer: 1 << 28 })
  const [real, ...others] = stdout.trim().split('\n')
  const missed = mutants.filter((_, at) => others[at] === real).map(({ name }) => name)
  console.log(`${mutants.length} weakened replays, ${mutants.length - missed.length} found out`)
  expect(others.length).toBe(mutants.length)
  expect(missed).toEqual([])
  expect(mutants.length).toBeGreaterThan(150)
})
