// Bad and large input of evaluations: the error names field and rule, and nothing is stored.
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { DatasetRole } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { Verdict } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { evaluationCalls, PASSED, type Facts } from '../../support/evaluation-calls.ts'
import { byId, makeModel, newDigest, newName, numbered, selected, startMetadata } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata
const { add, list } = evaluationCalls(admin)

const long = (length: number) => 'x'.repeat(length)

test('accepts values at every limit', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const facts: Facts = {
    suite: '🦊'.repeat(128),
    verdict: Verdict.PASSED,
    metrics: Array.from({ length: 100 }, (_, index) => ({
      name: 'm',
      value: index,
      dataset: `${index}`,
      split: long(63),
    })),
    dataset: { name: long(255), uri: long(2048), digest: long(255) },
    runner: '€'.repeat(255),
    runUri: long(2048),
    reportUri: long(2048),
    reportDigest: newDigest(),
    summary: '€'.repeat(1365),
  }
  expect((await add(name, facts)).facts).toMatchObject(facts)
  expect((await list(name, { suite: facts.suite! })).evaluations).toHaveLength(1)
  for (const text of [`'; drop table evaluation; --`, '\\ "\n\t$1', '__proto__']) {
    expect((await add(name, { ...PASSED, summary: text })).facts!.summary).toBe(text)
  }
})

const metric = { name: 'auc', value: 1 }
const WRONG: [string, string, Facts][] = [
  ['facts.suite', 'is required', { verdict: Verdict.PASSED }],
  ['facts.suite', 'must have at most 128 characters', { ...PASSED, suite: long(129) }],
  ['facts.suite', 'must be one line', { ...PASSED, suite: 'a\nb' }],
  ['facts.verdict', 'is required', { suite: 'smoke' }],
  ['facts.verdict', 'must be a known', { suite: 'smoke', verdict: 3 as Verdict }],
  ['facts.metrics', 'must have at most 100', { ...PASSED, metrics: Array.from({ length: 101 }, () => metric) }],
  ['facts.metrics[0].name', 'is required', { ...PASSED, metrics: [{ value: 1 }] }],
  ['facts.metrics[0].name', 'must have at most 255', { ...PASSED, metrics: [{ name: long(256) }] }],
  ['facts.metrics[1].value', 'must be finite', { ...PASSED, metrics: [metric, { name: 'b', value: Number.NaN }] }],
  ['facts.metrics[0].dataset', 'must have at most 255', { ...PASSED, metrics: [{ ...metric, dataset: long(256) }] }],
  ['facts.metrics[0].split', 'must have at most 63', { ...PASSED, metrics: [{ ...metric, split: long(64) }] }],
  ['facts.metrics[1]', 'must differ from facts.metrics[0]', { ...PASSED, metrics: [metric, metric] }],
  ['facts.dataset.name', 'is required', { ...PASSED, dataset: { digest: 'md5:1' } }],
  ['facts.dataset.uri', 'must have at most 2048 bytes', { ...PASSED, dataset: { name: 'd', uri: long(2049) } }],
  ['facts.dataset.digest', 'must have at most 255', { ...PASSED, dataset: { name: 'd', digest: long(256) } }],
  ['facts.dataset.role', 'must not be set', { ...PASSED, dataset: { name: 'd', role: DatasetRole.TEST } }],
  ['facts.runner', 'must have at most 255 characters', { ...PASSED, runner: long(256) }],
  ['facts.run_uri', 'must have at most 2048 bytes', { ...PASSED, runUri: long(2049) }],
  ['facts.report_uri', 'must have at most 2048 bytes', { ...PASSED, reportUri: '€'.repeat(683) }],
  ['facts.report_uri', 'must be one line', { ...PASSED, reportUri: 'https://a\r\nb' }],
  ['facts.report_digest', 'must be "sha256:" and 64', { ...PASSED, reportDigest: 'md5:1' }],
  ['facts.summary', 'must have at most 4096 bytes', { ...PASSED, summary: '€'.repeat(1366) }],
  ['facts.summary', 'must be Unicode text without NUL', { ...PASSED, summary: '\0' }],
]

test('reports the field and the rule of bad input, and stores nothing', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const version = numbered(name, 1)
  for (const [field, rule, facts] of WRONG) {
    const refused = await refusalOf(admin.evaluations.createEvaluation({ version, facts }))
    expect([refused.code, refused.fields, refused.message]).toEqual([
      'InvalidArgument',
      [field],
      expect.stringContaining(`${field} `),
    ])
    expect(refused.message).toContain(rule)
  }
  const { evaluations } = admin
  for (const [field, call] of [
    ['facts', () => evaluations.createEvaluation({ version })],
    ['version', () => evaluations.createEvaluation({ facts: PASSED })],
    ['version.id', () => evaluations.createEvaluation({ version: byId('x'), facts: PASSED })],
    ['version.name.number', () => evaluations.createEvaluation({ version: numbered(name, 0), facts: PASSED })],
    ['request_id', () => evaluations.createEvaluation({ version, facts: PASSED, requestId: 'x' })],
    ['id', () => evaluations.getEvaluation({})],
    ['version', () => evaluations.listEvaluations({})],
    [
      'version.name.alias',
      () => evaluations.listEvaluations({ version: selected(name, { case: 'alias', value: 'v7' }) }),
    ],
    ['suite', () => list(name, { suite: long(129) })],
    ['page_size', () => list(name, { pageSize: -1 })],
  ] as const) {
    expect(await refusalOf(call())).toMatchObject({ code: 'InvalidArgument', fields: [field] })
  }
  expect((await list(name)).evaluations).toEqual([])
})

test('distinguishes a missing model, version, alias and evaluation', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const id = randomUUID()
  const { evaluations } = admin
  for (const [call, reason, details] of [
    [
      () => evaluations.createEvaluation({ version: numbered('none', 1), facts: PASSED }),
      'MODEL_NOT_FOUND',
      { model: 'default/none' },
    ],
    [
      () => evaluations.createEvaluation({ version: numbered(name, 2), facts: PASSED }),
      'VERSION_NOT_FOUND',
      { version: `default/${name}:2` },
    ],
    [() => evaluations.createEvaluation({ version: byId(id), facts: PASSED }), 'VERSION_NOT_FOUND', { version: id }],
    [
      () => evaluations.listEvaluations({ version: selected('none', { case: 'number', value: 1 }) }),
      'MODEL_NOT_FOUND',
      {},
    ],
    [
      () => evaluations.listEvaluations({ version: selected(name, { case: 'alias', value: 'live' }) }),
      'ALIAS_NOT_FOUND',
      { alias: 'live' },
    ],
    [() => evaluations.listEvaluations({ version: byId(id) }), 'VERSION_NOT_FOUND', { version: id }],
    [() => evaluations.getEvaluation({ id }), 'EVALUATION_NOT_FOUND', { evaluation: id }],
  ] as const) {
    expect(await refusalOf(call())).toMatchObject({ code: 'NotFound', reason, metadata: details })
  }
})

test('logs no internal error', () => {
  expect(metadata.logs.filter((line) => line.includes('"message":"internal error"'))).toEqual([])
})
