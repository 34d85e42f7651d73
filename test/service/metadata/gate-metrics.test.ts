// Metrics of one name in the conditions of gates: which of them a condition sees.
import { expect, test } from 'vitest'
import { Verdict } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { ConditionOutcome } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { wordOf } from '#lib/values/words.ts'
import { byName, newDigest, newName, numbered, pointTo, selected, startMetadata } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

/** Metrics in no order, and not the best one first. */
const metrics = [
  { name: 'f1', value: 0.7, dataset: 'noise', split: 'test' },
  { name: 'f1', value: 0.9, dataset: 'clean', split: 'test' },
  { name: 'f1', value: 0.5, dataset: 'clean', split: 'train' },
  { name: 'f1', value: 0.8 },
  { name: 'loss', value: 3, dataset: 'clean', split: 'test' },
]

async function makeMeasured(): Promise<string> {
  const name = newName()
  await admin.models.createModel({ name })
  await admin.versions.createVersion({ model: byName(name), manifestDigest: newDigest(), facts: { metrics } })
  const facts = { suite: 'speed', verdict: Verdict.PASSED, metrics: metrics.toReversed() }
  await admin.evaluations.createEvaluation({ version: numbered(name, 1), facts })
  await admin.versions.createVersion({ model: byName(name), manifestDigest: newDigest(), facts: {} })
  await admin.aliases.setAliases({ model: byName(name), targets: [pointTo('live', 1)] })
  return name
}

const name = await makeMeasured()

/** The outcomes of conditions on the first version, which is live. */
async function judge(expressions: string[]): Promise<[string, string, string][]> {
  const conditions = expressions.map((expression) => ({ expression, sentence: 'it holds' }))
  const { decisions } = await admin.gates.testGate({
    version: selected(name, { case: 'number', value: 1 }),
    alias: 'live',
    rules: { aliasPattern: 'live', conditions },
  })
  return decisions[0]!.conditions.map(({ expression, outcome, error }) => [
    expression,
    wordOf(ConditionOutcome, outcome),
    error,
  ])
}

const holding = (expressions: string[]) => expressions.map((expression) => [expression, 'TRUE', ''])

test('uses the first metric of a name: of the candidate, of the live version and of evaluations', async () => {
  const expressions = [
    'version.metrics.f1 == 0.7',
    'current.metrics.f1 == 0.7',
    'version.metrics.loss == 3.0',
    'latest.speed.metrics.f1 == 0.8',
    'evaluations.exists(it, it.metrics.f1 == 0.8)',
    'size(version.metrics) == 2',
  ]
  expect(await judge(expressions)).toEqual(holding(expressions))
})

test('selects a metric by dataset and split', async () => {
  const expressions = [
    'version.metrics_on.noise.test.f1 == 0.7',
    'version.metrics_on.clean.test.f1 == 0.9 && version.metrics_on.clean.test.loss == 3.0',
    'current.metrics_on["clean"]["train"].f1 == 0.5',
    'version.metrics_on[""][""].f1 == 0.8',
    'latest.speed.metrics_on.clean.test.f1 == 0.9',
    'evaluations.all(it, it.metrics_on.noise.test.f1 < 0.75)',
    'size(version.metrics_on) == 3 && size(version.metrics_on.clean) == 2',
    '!has(version.metrics_on.noise.test.loss)',
  ]
  expect(await judge(expressions)).toEqual(holding(expressions))
})

test('fails a condition on a metric that was not measured on that dataset and split', async () => {
  expect(
    await judge([
      'version.metrics_on.noise.train.f1 > 0.0',
      'version.metrics_on.field.test.f1 > 0.0',
      'version.metrics_on.clean.f1 > 0.0',
    ]),
  ).toEqual([
    ['version.metrics_on.noise.train.f1 > 0.0', 'ERROR', 'field not found: train'],
    ['version.metrics_on.field.test.f1 > 0.0', 'ERROR', 'field not found: field'],
    ['version.metrics_on.clean.f1 > 0.0', 'ERROR', 'field not found: f1'],
  ])
})

test('passes a version by its metric on the dataset and split that the gate names', async () => {
  const conditions = [{ expression: 'version.metrics_on.clean.test.f1 >= 0.9', sentence: 'F1 on clean speech' }]
  await admin.gates.createGate({ model: byName(name), name: 'clean', rules: { aliasPattern: 'guarded', conditions } })
  const request = (number: number) =>
    admin.promotions.requestPromotion({ version: numbered(name, number), alias: 'guarded', reason: 'better' })
  expect(await refusalOf(request(2))).toMatchObject({
    reason: 'GATE_UNMET',
    preconditions: [{ description: 'F1 on clean speech (field not found: clean)' }],
  })
  expect((await request(1)).promotion!.number).toBe(1)
})
