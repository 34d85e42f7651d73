// Mutation tests of the verifier: each mutant lacks one check, and must reach another verdict than the real verifier on some
// export. Otherwise no test would fail without the check.
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test, vi } from 'vitest'
import { formatHeader } from '../../clients/verifier/export/export-file.ts'
import { CASES } from '../support/export-cases.ts'
import { VKEY } from '../support/exports.ts'

vi.setConfig({ testTimeout: 120_000 })
const ROOT = join(import.meta.dirname, '..', '..')
const VERIFIER = join(ROOT, 'clients', 'verifier')
const home = await mkdtemp(join(tmpdir(), 'modelkeep-mutants-'))
afterAll(() => rm(home, { recursive: true, force: true }))

const FILES = [
  'verify-export.ts',
  'export/export-part.ts',
  'export/openings.ts',
  'export/erasures.ts',
  'export/times.ts',
  'open-checkpoint.ts',
  'export/lines.ts',
  'replay/replay.ts',
]
const CALLS =
  /^ +(requireSize|else this\.#erased\.push|requireRoot|requireQuorum|requireNone|requireNext|requireRecorded|addTime|for \(.*\) this\.#governance\.(report|replay)|else if \(.*\) times\.problems\.push|scan\.finish|joined\.add|first\.raise|if \(problem\) report|broken\.push|(this\.)?#(openings|erasures|governance)\.(finish|entry|open|add)|this\.#(countSequence|addHash|addReplayEvent)|(if \(.*\) |for \(.*\) )?(first\.check|this\.#erasures\.expect))\(.*\)$/
/** The line that forgets the erased fields of an entry before the next one. */
const FORGETS = /^ +if \(.*\) this\.#erased = \[\]$/

interface Mutant {
  name: string
  file: string
  text: string
}

/** Returns a mutant without each check: without its throw, or without its call. */
async function makeMutants(): Promise<Mutant[]> {
  const mutants: Mutant[] = []
  for (const file of FILES) {
    const text = await readFile(join(VERIFIER, file), 'utf8')
    const source = text.split('\n')
    for (const [at, line] of source.entries()) {
      const without =
        CALLS.test(line) || FORGETS.test(line)
          ? ''
          : line.replace(/throw new (Tampered|Unusable|Unmet)\(/, 'void new $1(')
      if (without === line) continue
      mutants.push({ name: `${file}:${at + 1} ${line.trim()}`, file, text: source.with(at, without).join('\n') })
    }
  }
  mutants.push({
    name: 'accepts everything',
    file: 'verify-export.ts',
    text: 'export async function verifyExport() {}',
  })
  return mutants
}

async function writeVerifier(name: string, mutant?: Mutant): Promise<string> {
  const folder = join(home, name, 'clients', 'verifier')
  await cp(VERIFIER, folder, { recursive: true })
  await cp(join(ROOT, 'package.json'), join(home, name, 'package.json'))
  await symlink(join(ROOT, 'services'), join(home, name, 'services'))
  if (mutant) await writeFile(join(folder, mutant.file), mutant.text)
  return folder
}

test('detects the removal of every check of the verifier', async () => {
  const mutants = await makeMutants()
  expect(mutants.length).toBeGreaterThan(40)
  const cases = CASES.map(([, bytes, policy]) => ({ bytes: bytes.toString('base64'), vkey: VKEY, policy }))
  await writeFile(join(home, 'cases.json'), JSON.stringify(cases))
  const folders = [await writeVerifier('real')]
  for (const [number, mutant] of mutants.entries()) folders.push(await writeVerifier(String(number), mutant))
  const runner = join(ROOT, 'test', 'support', 'verifier-runner.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [runner, join(home, 'cases.json'), ...folders], {
    maxBuffer: 1 << 26,
  })
  const [real, ...others] = stdout.trim().split('\n')
  const verdicts = Object.fromEntries((JSON.parse(real!) as string[]).map((verdict, at) => [CASES[at]![0], verdict]))
  const accepted = Object.entries(verdicts).filter(([, verdict]) => verdict === 'verified')
  expect(accepted.map(([name]) => name)).toEqual([
    'good',
    'a value that is there',
    'expired in time',
    'erased under a hold on others',
    'erased after a hold',
    'recorded before, of old',
    'cosigned',
  ])
  const missed = mutants.filter((_, at) => others[at] === real).map(({ name }) => name)
  console.log(`${mutants.length} weakened verifiers, ${mutants.length - missed.length} found out`)
  expect(others.length).toBe(mutants.length)
  expect(missed).toEqual([])
})

test('mutates every file that checks an export', async () => {
  const others = (await readdir(VERIFIER, { recursive: true })).filter(
    (file) => file.endsWith('.ts') && !FILES.includes(file),
  )
  const judging: string[] = []
  for (const file of others) {
    const text = await readFile(join(VERIFIER, file), 'utf8')
    if (/throw new (Tampered|Unmet)/.test(text)) judging.push(file)
  }
  // These check proofs, consistency and live logs, and have tests of their own.
  expect(judging.toSorted()).toEqual([
    'monitor/check-growth.ts',
    'monitor/check-log.ts',
    'monitor/tile-source.ts',
    'verify-consistency.ts',
    'verify-proof.ts',
  ])
  expect(formatHeader('x')).toContain('/v2')
})
