// Signed leaves in which each value is replaced by hostile ones: the verifiers reach a verdict, and never crash.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { formatOpening, formatRedacted } from '../../clients/verifier/export/export-file.ts'
import { PartThread } from '../../clients/verifier/export/part-threads.ts'
import { Tampered, Unmet, Unusable } from '../../clients/verifier/verdict.ts'
import { verifyExport } from '../../clients/verifier/verify-export.ts'
import { findVerifier } from '../../services/lib/tlog/note.ts'
import { exportOf, makeLeaf, openingOf, VKEY } from '../support/exports.ts'
import { at, by, START } from '../support/governed.ts'
import {
  APPROVED,
  apply,
  APPROVERS,
  close,
  deleted,
  forced,
  OTHER_PROMOTION,
  promoted,
  request,
} from '../support/promoted.ts'

vi.setConfig({ testTimeout: 60_000 })
const home = await mkdtemp(join(tmpdir(), 'modelkeep-hostile-'))
afterAll(() => rm(home, { recursive: true, force: true }))
const key = findVerifier(VKEY)!
const trust = { name: key.name, keys: [key], policy: undefined }

const reason = openingOf('reason', '"a better recall"')
const amount = openingOf('details.number', '7')
const hold = { id: 'h', namespace: '', name: 'h' }
const kept = { producer: 'audit', actor: by('alice'), resource: hold, details: { namespace: 'legal', resource_id: '' } }
const secret = {
  producer: 'artifact',
  type: 'blob.committed.v1',
  resource: { id: 'r', namespace: 'fraud', name: 'fraud/x' },
  retentionClass: 'RETENTION_CLASS_SECURITY',
  commitments: { 'details.number': amount.commitment, reason: reason.commitment },
  details: { other: true },
}
const STORY = [
  ...START,
  ...APPROVED,
  apply(APPROVERS),
  promoted(),
  forced(2, 1),
  request({}, { resource: OTHER_PROMOTION }),
]
const EVENTS: object[] = [
  ...[...STORY, close('rejected', 'erin', {}, { resource: OTHER_PROMOTION }), deleted('g', 2)].map((event, index) => ({
    ...event,
    sequence: String(index + 1),
  })),
  { ...secret, sequence: '1' },
  { ...kept, sequence: '1', type: 'hold.placed.v1' },
  { ...kept, sequence: '2', type: 'hold.released.v1' },
  { ...kept, sequence: '3', type: 'event.redacted.v1', details: { index: '', fields: ['reason'] } },
  { ...secret, sequence: '2' },
  {
    ...kept,
    sequence: '4',
    type: 'values.expired.v1',
    details: {
      retentionClass: 'RETENTION_CLASS_SECURITY',
      seconds: '60',
      values: { '': ['reason', 'details.number'] },
    },
  },
]
const FIRST = EVENTS.length - 6
const LEAVES = EVENTS.map((event, index) => {
  const text = JSON.stringify(event)
    .replace('"index":""', `"index":"${FIRST}"`)
    .replace('{"":', `{"${FIRST + 4}":`)
  const time = at(index + 20)
  return makeLeaf(0, JSON.parse(text) as object, time.replace('Z', '001Z'))
})
const AFTER = {
  [FIRST]: [
    formatOpening(FIRST, 'details.number', amount.salt, amount.value).toString(),
    formatRedacted(FIRST, 'reason', FIRST + 3).toString(),
  ],
  [FIRST + 4]: ['details.number', 'reason'].map((field) => formatRedacted(FIRST + 4, field, FIRST + 5).toString()),
}

const DEEP = '"DEEP"'
const ABYSS = '['.repeat(20_000)
const HOSTILE: unknown[] = [
  null,
  7,
  -0.5,
  true,
  '',
  'x',
  '__proto__',
  [],
  [null],
  {},
  { toString: null, valueOf: 7 },
  'DEEP',
]

/** Yields the document with each of its values replaced by each hostile one. */
function* replaced(document: unknown): Iterable<unknown> {
  yield* HOSTILE
  if (typeof document !== 'object' || document === null) return
  for (const [name, value] of Object.entries(document)) {
    for (const other of replaced(value)) {
      yield Array.isArray(document) ? document.with(Number(name), other) : { ...document, [name]: other }
    }
  }
}

function* exportsOf(): Iterable<Buffer> {
  for (const [index, leaf] of LEAVES.entries()) {
    for (const document of replaced(JSON.parse(leaf.toString()))) {
      const text = JSON.stringify(document).replace(DEEP, () => `${ABYSS}${']'.repeat(ABYSS.length)}`)
      yield exportOf(LEAVES.with(index, Buffer.from(text)), { after: AFTER })
    }
  }
}

async function judge(bytes: Buffer): Promise<string> {
  async function* once() {
    yield bytes
  }
  try {
    await verifyExport(once(), trust)
    return 'verified'
  } catch (error) {
    if (error instanceof Tampered || error instanceof Unusable || error instanceof Unmet) return error.name
    throw error
  }
}

const ALL = [exportOf(LEAVES, { after: AFTER }), ...exportsOf()]
let verdicts: string[]
beforeAll(async () => {
  verdicts = []
  for (const bytes of ALL) verdicts.push(await judge(bytes))
})

test('reaches a verdict for every hostile leaf', () => {
  const counts = Object.fromEntries(
    Map.groupBy(verdicts, String)
      .entries()
      .map(([name, all]) => [name, all.length]),
  )
  console.log(`${ALL.length} exports: ${JSON.stringify(counts)}`)
  expect(verdicts[0]).toBe('verified')
  expect(Object.keys(counts).toSorted()).toEqual(['Tampered', 'Unmet', 'verified'])
})

test('a thread returns its result for every hostile leaf', async () => {
  const thread = new PartThread({ size: LEAVES.length, hasOpenings: true })
  try {
    for (const [index, bytes] of ALL.entries()) {
      const { problem, lines } = await thread.check(bytes.subarray(bytes.indexOf('\n') + 1))
      if (verdicts[index] !== 'Tampered') expect([problem, lines]).toEqual([undefined, LEAVES.length + 4])
    }
  } finally {
    await thread.close()
  }
})

test('the verifier in Python reaches the same verdicts', async ({ skip }) => {
  const python = await promisify(execFile)('python3', ['--version']).catch(() => undefined)
  if (!python) skip('python3 is not installed')
  const script = `
import json, os, sys
sys.path.insert(0, 'clients/python')
import verify
# The tests of tampering verify signatures: here each is valid, and would cost 10 ms.
verify.is_signed = lambda *_: True
sys.stdout = open(os.devnull, 'w')
sys.stderr = sys.stdout
codes = []
for number in range(int(sys.argv[2])):
    codes.append(verify.main([f'{sys.argv[1]}/{number}', sys.argv[3]]))
print(json.dumps(codes), file=sys.__stdout__)`
  const sample = ALL.keys()
    .filter((index) => index % 5 === 0)
    .toArray()
  await Promise.all(sample.map((index, number) => writeFile(join(home, String(number)), ALL[index]!)))
  const args = ['-B', '-c', script, home, String(sample.length), VKEY]
  const { stdout } = await promisify(execFile)('python3', args, { maxBuffer: 1 << 24 })
  // Python rejects JSON that is nested too deeply.
  const own = sample.map((index) => {
    if (ALL[index]!.includes(ABYSS)) return 2
    return verdicts[index] === 'Tampered' ? 7 : 0
  })
  expect(JSON.parse(stdout)).toEqual(own)
})
