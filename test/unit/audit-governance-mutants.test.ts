// Mutation tests of the replay: each mutant lacks one check, and must accept a story that the real replay rejects, or the
// reverse. Otherwise no test would fail without the check.
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test, vi } from 'vitest'
import { BROKEN_GATE_STORIES } from '../support/broken-gates.ts'
import { BROKEN_PROMOTION_STORIES } from '../support/broken-promotions.ts'
import { RULE_VIOLATIONS } from '../support/broken-rules.ts'
import { BROKEN_STATE_STORIES } from '../support/broken-states.ts'
import { BROKEN_VOTE_STORIES } from '../support/broken-votes.ts'
import { by, event, role, START, token } from '../support/governed.ts'
import type { Run } from '../support/governance-runner.ts'
import { HONEST_STORIES } from '../support/honest-stories.ts'
import type { Mutant } from '../support/mutants.ts'
import { ALLOWED, DENIED_FOR_SERVICE, ALLOWED_FOR_SERVICE, DENIED } from '../support/required-roles.ts'

vi.setConfig({ testTimeout: 120_000 })
const ROOT = join(import.meta.dirname, '..', '..')
const REPLAY = join(ROOT, 'clients', 'verifier', 'replay')
/** Files without rules, or with a test of their own. */
const SHARED = ['replay-event.ts', 'state.ts', 'wildcard.ts']
const home = await mkdtemp(join(tmpdir(), 'modelkeep-rules-'))
afterAll(() => rm(home, { recursive: true, force: true }))

const TYPES = (await readFile(join(REPLAY, 'replay.ts'), 'utf8')).match(/(?<=')[a-z.]+\.v1(?=')/g)!
/** Every type of event, by a principal with the role reader. */
const BY_READER = [
  token('ivan'),
  role('ivan', '*', 'READER'),
  ...TYPES.map((type) =>
    event(type.replace('.v1', ''), { actor: by('ivan'), resource: { id: 'i', namespace: 'fraud', name: 'fraud/i' } }),
  ),
]
const STORIES = [
  ...[
    ...HONEST_STORIES,
    ...RULE_VIOLATIONS,
    ...BROKEN_GATE_STORIES,
    ...BROKEN_PROMOTION_STORIES,
    ...BROKEN_STATE_STORIES,
    ...BROKEN_VOTE_STORIES,
  ].map(([, events]) => [...START, ...events]),
  BY_READER,
  ...[...ALLOWED, ...ALLOWED_FOR_SERVICE, ...DENIED, ...DENIED_FOR_SERVICE].map(({ events }) => events),
]

const LOWER: Record<string, string> = {
  PLATFORM: 'ADMIN',
  ADMIN: 'APPROVER',
  APPROVER: 'CONTRIBUTOR',
  CONTRIBUTOR: 'READER',
}

/** Yields the line without each of its checks. */
function* weaken(line: string): Iterable<string> {
  // Lines that only free memory cannot be detected.
  if (/^ +(if .*\) )?(aliases|registry\.gates)\.delete\(/.test(line)) return
  // A reported problem.
  if (/^ +if \(.*\) return [`']/.test(line)) yield ''
  if (/^ +return .* (\?|:) [`'].*$/.test(line)) yield 'return undefined'
  if (/^ +return \w+ && `.*$/.test(line)) yield 'return undefined'
  if (/^ +[?:] [`'].*$/.test(line)) yield line.replace(/([?:]) .*$/, '$1 undefined')
  if (/^ +return [`'].*$/.test(line)) yield 'return undefined'
  // One of several conditions.
  const [, before = '', condition = '', after = ''] = /^( +if \()(.*)(\) return .*)$/.exec(line) ?? []
  for (const sign of [' || ', ' && ']) {
    const parts = condition.split(sign)
    if (parts.length === 1 || /(^|[ !])\(/.test(condition)) continue
    for (const at of parts.keys()) yield `${before}${parts.toSpliced(at, 1).join(sign)}${after}`
  }
  if (/^ +[^ ].* === .* &&$/.test(line)) yield ''
  if (/^ +[\w.[\]' ]+ === [\w.]+$/.test(line)) yield 'true'
  // A call that finds a problem, or changes the state.
  if (!/^(export )?(function|const \w+: RuleCheck)/.test(line)) {
    for (const [call] of line.matchAll(/\b(find[A-Z]\w*|checkActor|hasMoved)\((?:[^()]|\([^()]*\))*\)/g)) {
      yield line.replace(call, 'undefined')
    }
  }
  if (/^ +(if .*\) )?[\w.]+ \+= 1$/.test(line)) yield ''
  if (/^ +(if .*\) )?(markOutdated|[\w.!]+\.(set|delete|push))\(.*\)$/.test(line)) yield ''
  if (/^ +([\w.]+ = |if \(token\) )[^{]*$/.test(line)) yield ''
  // A rule of the table.
  if (/isByService: true/.test(line)) yield line.replace('isByService: true,', '')
  else if (/{ needs: /.test(line)) yield line.replace('{ needs:', '{ isByService: true, needs:')
  if (/allowsErasure: true/.test(line)) yield line.replace(/allowsErasure: true, ?/, '')
  const [, needs] = /needs: '(\w+)'/.exec(line) ?? []
  const lower = needs && LOWER[needs]
  for (const less of new Set(lower ? [lower, 'READER'] : [])) yield line.replace(`'${needs}'`, `'${less}'`)
  if (/check: [\w.]+/.test(line)) yield line.replace(/check: [\w.]+/, 'check: () => undefined')
  if (/^ .*grant: \w+/.test(line)) yield line.replace(/grant: \w+/, 'check: () => undefined')
}

/** Mutants that reach the same verdict on every log, with the reason. */
const EQUIVALENT: Record<string, string> = {
  'promotions.ts: if (how) return `it was already ${how}` -> ':
    'the line only chooses the words: a promotion that has ended is rejected as one that was never requested',
  "replay.ts: 'promotion.expired.v1': { needs: 'CONTRIBUTOR', -> needs: 'READER',":
    'guarded twice: expirePromotion refuses everybody but the service, which needs no role',
  'replay.ts: state.applied = undefined -> ':
    'the line before it has refused the log; this only avoids that each later event is refused, too',
}

async function makeMutants(files: string[]): Promise<Mutant[]> {
  const mutants: Mutant[] = []
  for (const file of files) {
    const source = (await readFile(join(REPLAY, file), 'utf8')).split('\n')
    for (const [at, line] of source.entries()) {
      for (const text of weaken(line)) {
        // The type of the event is on the line before.
        const before = /^ +needs: /.test(line) ? `${source[at - 1]!.trim()} ` : ''
        mutants.push({ name: `${file}: ${before}${line.trim()} -> ${text.trim()}`, file, line: at, text })
      }
    }
  }
  return mutants
}

test('detects the removal of every rule of the replay', async () => {
  const mutants = await makeMutants((await readdir(REPLAY)).filter((file) => !SHARED.includes(file)))
  const run: Run = { folder: REPLAY, mutants, stories: STORIES }
  await writeFile(join(home, 'run.json'), JSON.stringify(run))
  const runner = join(ROOT, 'test', 'support', 'governance-runner.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [runner, join(home, 'run.json')], {
    maxBuffer: 1 << 28,
  })
  const differences = stdout.trim().split('\n')
  const such = (kind: string) => mutants.filter((_, at) => differences[at] === kind).map(({ name }) => name)
  console.log(`${mutants.length} weakened replays, ${such('verdict').length} found out by verdict`)
  expect(differences.length).toBe(mutants.length)
  expect(such('none')).toEqual([])
  expect(such('words')).toEqual(Object.keys(EQUIVALENT))
  expect(mutants.length).toBeGreaterThan(217)
})
