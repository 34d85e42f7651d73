import { create, fromJson, type JsonValue, type MessageInitShape } from '@bufbuild/protobuf'
import { ValueSchema } from '@bufbuild/protobuf/wkt'
import { expect, test } from 'vitest'
import { VersionFactsSchema } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { parseFacts } from '../../services/metadata/domain/facts.ts'
import { parseValue } from '../../services/metadata/domain/values.ts'

type Facts = MessageInitShape<typeof VersionFactsSchema>

const parse = (facts: Facts) => parseFacts(create(VersionFactsSchema, facts))
const value = (json: JsonValue) => fromJson(ValueSchema, json)
const times = <T>(count: number, make: (index: number) => T) => Array.from({ length: count }, (_, index) => make(index))
const long = (length: number) => 'x'.repeat(length)
const ID = '0191d3a0-0000-7000-8000-000000000000'

test('accepts empty facts, and facts at every limit', () => {
  expect(parse({})).toEqual(create(VersionFactsSchema))
  const full: Facts = {
    source: { repository: long(2048), commit: long(255), path: long(1024), dirty: true },
    run: { id: long(255), uri: long(2048), framework: long(255), frameworkVersion: long(255) },
    parameters: times(1000, (index) => ({ name: `p${index}`, value: value(index) })),
    metrics: times(1000, (index) => ({ name: 'm', value: index, dataset: `d${index}`, split: long(63) })),
    datasets: times(100, (index) => ({
      name: `d${index}`,
      uri: long(2048),
      digest: long(255),
      role: (index % 4) as 0 | 1 | 2 | 3,
    })),
    parents: times(100, () => ({ versionId: ID.toUpperCase(), relation: 1 })),
    signature: {
      inputs: times(1000, () => ({ name: long(255), dataType: long(63), shape: times(32, () => -1n) })),
      outputs: times(1000, () => ({ dataType: 'float32' })),
    },
    dependencies: times(1000, () => ({ name: long(255), version: long(255) })),
    license: long(255),
  }
  expect(parse(full).parents[0]!.versionId).toBe(ID)
})

test.each<[string, Facts]>([
  ['facts.source.repository must have at most 2048 bytes', { source: { repository: long(2049) } }],
  ['facts.source.repository must be one line', { source: { repository: 'https://a\nb' } }],
  ['facts.source.commit must have at most 255 characters', { source: { commit: long(256) } }],
  ['facts.source.path must have at most 1024 bytes', { source: { path: long(1025) } }],
  ['facts.run.id must have at most 255 characters', { run: { id: long(256) } }],
  ['facts.run.uri must have at most 2048 bytes', { run: { uri: long(2049) } }],
  ['facts.run.framework must have at most 255 characters', { run: { framework: long(256) } }],
  ['facts.run.framework_version must have at most 255', { run: { frameworkVersion: long(256) } }],
  [
    'facts.run.end_time must not be before facts.run.start_time',
    { run: { startTime: { seconds: 5n, nanos: 2 }, endTime: { seconds: 5n, nanos: 1 } } },
  ],
  ['facts.run.start_time must be a time from year 1', { run: { startTime: { seconds: 10n ** 12n } } }],
  ['facts.run.end_time must be a time from year 1', { run: { endTime: { nanos: -1 } } }],
  ['facts.parameters must have at most 1000', { parameters: times(1001, (i) => ({ name: `${i}`, value: value(1) })) }],
  ['facts.parameters[0].name is required', { parameters: [{ value: value(1) }] }],
  ['facts.parameters[0].name must have at most 255', { parameters: [{ name: long(256), value: value(1) }] }],
  ['facts.parameters[0].value is required', { parameters: [{ name: 'p' }] }],
  [
    'facts.parameters[1] must differ from facts.parameters[0] in name',
    { parameters: times(2, () => ({ name: 'p', value: value(1) })) },
  ],
  ['facts.metrics must have at most 1000', { metrics: times(1001, (i) => ({ name: `${i}` })) }],
  ['facts.metrics[0].name is required', { metrics: [{ value: 1 }] }],
  ['facts.metrics[1].value must be finite', { metrics: [{ name: 'a' }, { name: 'b', value: Number.NaN }] }],
  ['facts.metrics[0].value must be finite', { metrics: [{ name: 'a', value: Number.NEGATIVE_INFINITY }] }],
  ['facts.metrics[0].dataset must have at most 255', { metrics: [{ name: 'a', dataset: long(256) }] }],
  ['facts.metrics[0].split must have at most 63', { metrics: [{ name: 'a', split: long(64) }] }],
  ['facts.metrics[1] must differ from facts.metrics[0] in name, dataset', { metrics: times(2, () => ({ name: 'a' })) }],
  ['facts.datasets must have at most 100', { datasets: times(101, (i) => ({ name: `${i}` })) }],
  ['facts.datasets[0].name is required', { datasets: [{}] }],
  ['facts.datasets[0].uri must have at most 2048 bytes', { datasets: [{ name: 'a', uri: long(2049) }] }],
  ['facts.datasets[0].digest must have at most 255', { datasets: [{ name: 'a', digest: long(256) }] }],
  ['facts.datasets[0].role must be a known DatasetRole', { datasets: [{ name: 'a', role: 9 as 1 }] }],
  ['facts.datasets[1] must differ from facts.datasets[0]', { datasets: times(2, () => ({ name: 'a', role: 1 })) }],
  ['facts.parents must have at most 100', { parents: times(101, () => ({ versionId: ID, relation: 1 })) }],
  ['facts.parents[0].version_id must be a UUID', { parents: [{ versionId: 'x', relation: 1 }] }],
  ['facts.parents[0].relation is required', { parents: [{ versionId: ID }] }],
  ['facts.parents[0].relation is required and must be a known', { parents: [{ versionId: ID, relation: 9 as 1 }] }],
  ['facts.signature.inputs must have at most 1000', { signature: { inputs: times(1001, () => ({ dataType: 'a' })) } }],
  ['facts.signature.outputs[0].data_type is required', { signature: { outputs: [{}] } }],
  ['facts.signature.inputs[0].data_type must have at most 63', { signature: { inputs: [{ dataType: long(64) }] } }],
  [
    'facts.signature.inputs[0].name must have at most 255',
    { signature: { inputs: [{ name: long(256), dataType: 'a' }] } },
  ],
  [
    'facts.signature.inputs[0].shape must have at most 32 dimensions',
    { signature: { inputs: [{ dataType: 'a', shape: times(33, () => 1n) }] } },
  ],
  [
    'facts.signature.inputs[0].shape[1] must be at least 0, or -1',
    { signature: { inputs: [{ dataType: 'a', shape: [1n, -2n] }] } },
  ],
  ['facts.dependencies must have at most 1000', { dependencies: times(1001, () => ({ name: 'a' })) }],
  ['facts.dependencies[0].name is required', { dependencies: [{}] }],
  ['facts.dependencies[0].version must have at most 255', { dependencies: [{ name: 'a', version: long(256) }] }],
  ['facts.license must have at most 255 characters', { license: long(256) }],
  ['facts.license must be one line', { license: 'MIT\0' }],
])('%s', (message, facts) => {
  expect(() => parse(facts)).toThrow(message)
})

test('accepts a dataset in two roles, and a metric on two splits', () => {
  const facts = parse({
    datasets: [
      { name: 'a', role: 1 },
      { name: 'a', role: 2 },
    ],
    metrics: [
      { name: 'f1', split: 'test' },
      { name: 'f1', split: 'train' },
    ],
  })
  expect(facts.metrics).toHaveLength(2)
})

test.each([['text'], [0.5], [false], [[1, 'a', [true]]], [{ a: { b: [1] } }], ['']])(
  'a parameter may be %j',
  (json) => {
    expect(parseValue(value(json), 'value')).toEqual(json)
  },
)

test('stores hostile parameter names unchanged', () => {
  const json = JSON.parse('{"__proto__": 1, "constructor": 2}') as JsonValue
  expect(JSON.stringify(parseValue(value(json), 'value'))).toBe('{"__proto__":1,"constructor":2}')
})

test.each<[string, JsonValue]>([
  ['without null', null],
  ['without null', [1, null]],
  ['without null', { a: null }],
  ['contain only Unicode text without NUL', 'a\0'],
  ['contain only Unicode text without NUL', { 'a\0': 1 }],
  ['have at most 8192 bytes as JSON', long(8191)],
])('rejects a parameter: must %s', (rule, json) => {
  expect(() => parseValue(value(json), 'facts.parameters[0].value')).toThrow(rule)
})

test('rejects parameters that are not finite or nest too deeply', () => {
  const infinite = create(ValueSchema, { kind: { case: 'numberValue', value: Number.POSITIVE_INFINITY } })
  expect(() => parseValue(infinite, 'value')).toThrow('value must contain only finite numbers')
  const nested = times(40, (index) => index).reduce<JsonValue>((inner) => [inner], 1)
  expect(() => parseValue(value(nested), 'value')).toThrow('value must not nest deeper than 32')
  expect(() => parseValue(create(ValueSchema), 'value')).toThrow('value must be a string, number')
})
