// The rules of gates: validation, the aliases they guard, and TestGate.
import { expect, test } from 'vitest'
import { ConditionOutcome } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { FIELDS } from '../../../services/metadata/domain/governance/condition.ts'
import {
  byName,
  makeModel,
  makeNamespace,
  newName,
  selected,
  pointTo,
  removalOf,
  startMetadata,
} from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

const auc = { expression: 'version.metrics.auc >= 0.9', sentence: 'AUC is at least 0.9' }
const rules = { aliasPattern: 'production', conditions: [auc], approvalsRequired: 1 }

test('reports the field of bad rules, and creates nothing', async () => {
  const namespace = await makeNamespace(admin)
  const { expression, sentence } = auc
  const cases: [object, string][] = [
    [{ ...rules, aliasPattern: '' }, 'rules.alias_pattern'],
    [{ ...rules, aliasPattern: 'a b' }, 'rules.alias_pattern'],
    [{ ...rules, aliasPattern: 'a'.repeat(129) }, 'rules.alias_pattern'],
    [{ ...rules, conditions: [{ expression: 'version.', sentence }] }, 'rules.conditions[0].expression'],
    [{ ...rules, conditions: [auc, { expression, sentence: '' }] }, 'rules.conditions[1].sentence'],
    [{ ...rules, conditions: [{ expression, sentence: 'a\nb' }] }, 'rules.conditions[0].sentence'],
    [{ ...rules, conditions: Array.from({ length: 21 }, () => auc) }, 'rules.conditions'],
    [{ ...rules, approvalsRequired: -1 }, 'rules.approvals_required'],
    [{ ...rules, approvalsRequired: 11 }, 'rules.approvals_required'],
    [{ ...rules, approvalsRequired: 2, approvers: ['carol'] }, 'rules.approvals_required'],
    [{ ...rules, approvalsRequired: 0, approvers: ['carol'] }, 'rules.approvals_required'],
    [{ aliasPattern: 'production' }, 'rules'],
    [{ ...rules, approvers: ['Carol!'] }, 'rules.approvers[0]'],
    [{ ...rules, approvers: ['carol', 'carol'] }, 'rules.approvers[1]'],
    [{ ...rules, approvers: Array.from({ length: 101 }, (_, index) => `p${index}`) }, 'rules.approvers'],
    [{ ...rules, expiry: { seconds: 59n } }, 'rules.expiry'],
    [{ ...rules, expiry: { seconds: 7_776_001n } }, 'rules.expiry'],
    [{ ...rules, expiry: { seconds: 100n, nanos: 1 } }, 'rules.expiry'],
    [
      {
        ...rules,
        conditions: Array.from({ length: 9 }, () => ({ sentence, expression: `alias == "${'a'.repeat(2000)}"` })),
      },
      'rules',
    ],
  ]
  const events = await metadata.eventsOf(async () => {
    for (const [bad, field] of cases) {
      const refused = await refusalOf(admin.gates.createGate({ namespace, name: 'bad', rules: bad }))
      expect([field, refused]).toMatchObject([field, { code: 'InvalidArgument', fields: [field] }])
    }
    for (const name of ['', 'Upper', '-a', 'a'.repeat(64)]) {
      expect((await refusalOf(admin.gates.createGate({ namespace, name, rules }))).fields).toEqual(['name'])
    }
    expect((await refusalOf(admin.gates.createGate({ namespace, name: 'bad' }))).fields).toEqual(['rules'])
  })
  expect(events).toEqual([])
  expect((await admin.gates.listGates({ namespace })).gates).toEqual([])
})

test('guards the aliases of its pattern and model as soon as it is created', async () => {
  const namespace = await makeNamespace(admin)
  const [one, two] = [newName(), newName()]
  await makeModel(admin, one, 2, namespace)
  await makeModel(admin, two, 1, namespace)
  const set = (model: string, name: string, value = 1, expectedNumber = 0) =>
    admin.aliases.setAliases({
      model: byName(model, namespace),
      targets: [pointTo(name, value, expectedNumber)],
    })
  await set(one, 'prod-eu')
  await admin.gates.createGate({
    model: byName(one, namespace),
    name: 'eu',
    rules: { aliasPattern: 'prod*', approvalsRequired: 1 },
  })
  expect(await refusalOf(set(one, 'prod-eu', 2, 1))).toMatchObject({
    code: 'FailedPrecondition',
    reason: 'ALIAS_GATED',
    metadata: { alias: 'prod-eu', gates: 'eu' },
  })
  await set(one, 'prod-eu', 1, 1)
  expect((await refusalOf(set(one, 'prod-us'))).reason).toBe('ALIAS_GATED')
  await set(one, 'staging')
  await set(two, 'prod-eu')
  await admin.gates.createGate({ namespace, name: 'everywhere', rules: { aliasPattern: '*', approvalsRequired: 1 } })
  expect((await refusalOf(set(one, 'prod-eu', 2, 1))).metadata['gates']).toBe('eu, everywhere')
  const model = byName(two, namespace)
  const remove = removalOf('prod-eu', 1)
  expect((await refusalOf(admin.aliases.setAliases({ model, targets: [remove] }))).reason).toBe('ALIAS_GATED')
  await admin.gates.deleteGate({ namespace, name: 'everywhere' })
  await admin.aliases.setAliases({ model, targets: [remove] })
})

test('evaluates rules without a gate, with a result per condition', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const conditions = [
    { expression: 'version.number == 1', sentence: 'it is the first' },
    { expression: 'current != null', sentence: 'something is there already' },
    auc,
  ]
  const events = await metadata.eventsOf(async () => {
    const target = { version: selected(name, { case: 'number', value: 1 }), alias: 'production' }
    const tested = await admin.gates.testGate({ ...target, rules: { ...rules, conditions } })
    expect(tested.passed).toBe(false)
    expect(tested.decisions).toMatchObject([
      {
        gate: '',
        revision: 0,
        conditions: [
          { sentence: 'it is the first', outcome: ConditionOutcome.TRUE, error: '' },
          { outcome: ConditionOutcome.FALSE, error: '' },
          { outcome: ConditionOutcome.ERROR, error: 'field not found: auc' },
        ],
      },
    ])
    expect(await admin.gates.testGate(target)).toMatchObject({ decisions: [], passed: true })
    const passing = { ...rules, conditions: conditions.slice(0, 1) }
    expect((await admin.gates.testGate({ ...target, rules: passing })).passed).toBe(true)
    expect((await refusalOf(admin.gates.testGate({ ...target, alias: 'latest' }))).fields).toEqual(['alias'])
    expect((await refusalOf(admin.gates.testGate({ ...target, rules: {} }))).fields).toEqual(['rules.alias_pattern'])
  })
  expect(events).toEqual([])
})

test('provides every field that conditions may name', async () => {
  const name = newName()
  await makeModel(admin, name, 2)
  await admin.aliases.setAliases({ model: byName(name), targets: [pointTo('production', 1)] })
  const version = selected(name, { case: 'number', value: 2 })
  for (const [variable, fields] of FIELDS) {
    const conditions = fields.map((field) => ({ expression: `has(${variable}.${field})`, sentence: field }))
    const tested = await admin.gates.testGate({ version, alias: 'production', rules: { ...rules, conditions } })
    expect([
      variable,
      tested.decisions[0]!.conditions.filter(({ outcome }) => outcome !== ConditionOutcome.TRUE),
    ]).toEqual([variable, []])
  }
})
