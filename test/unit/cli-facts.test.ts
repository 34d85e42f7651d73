import { describe, expect, test } from 'vitest'
import { CliError } from '../../clients/cli/terminal/cli-error.ts'
import {
  parseDataset,
  parseDependency,
  parseMetric,
  parseParameter,
  parseParent,
  parseRun,
  parseSignature,
  parseSource,
  parseTime,
} from '../../clients/cli/arguments/facts.ts'
import { withoutPassword } from '../../clients/cli/push/git.ts'

describe('parses a parameter as the type that it looks like', () => {
  test.each([
    ['lr=0.01', 0.01],
    ['n=-3', -3],
    ['x=1e-5', 1e-5],
    ['on=true', true],
    ['off=false', false],
    ['layers=[128,64]', [128, 64]],
    ['opt={"name":"adam"}', { name: 'adam' }],
    ['text="42"', '42'],
    ['name=adam', 'adam'],
    ['zip=01234', '01234'],
    ['empty=', ''],
    ['expr=a=b', 'a=b'],
    ['huge=1e999', '1e999'],
    ['nan=NaN', 'NaN'],
  ])('%s', (text, value) => {
    expect(parseParameter(text).value).toEqual(value)
  })

  test.each(['lr', '=1', 'x={broken', 'x=[1,'])('rejects %s', (text) => {
    expect(() => parseParameter(text)).toThrow(CliError)
  })
})

test('parses a metric with its dataset and split', () => {
  expect(parseMetric('auc=0.94')).toEqual({ name: 'auc', value: 0.94 })
  expect(parseMetric('auc=0.94,dataset=loans,split=test')).toEqual({
    name: 'auc',
    value: 0.94,
    dataset: 'loans',
    split: 'test',
  })
  for (const text of ['auc=high', 'auc', 'auc=1,fold=2', 'auc=Infinity']) {
    expect(() => parseMetric(text)).toThrow(CliError)
  }
})

test('parses a dataset, which requires a name and may have commas in its URI', () => {
  expect(parseDataset('name=loans,digest=sha256:ab,uri=s3://b/a,b,role=validation')).toEqual({
    name: 'loans',
    digest: 'sha256:ab',
    uri: 's3://b/a,b',
    role: 2,
  })
  for (const text of ['digest=x', 'name=a,role=exam', 'name=a,name=b', 'loans']) {
    expect(() => parseDataset(text)).toThrow(CliError)
  }
})

test('parses the times of a run to the microsecond', () => {
  const run = parseRun(
    'id=42,uri=https://t/r?a=1,framework=pytorch,framework-version=2.9.1,start=2026-11-23T05:40:00.123456Z',
  )
  expect(run.fields).toEqual({ id: '42', uri: 'https://t/r?a=1', framework: 'pytorch', frameworkVersion: '2.9.1' })
  expect(run.start).toEqual({ seconds: BigInt(Date.UTC(2026, 10, 23, 5, 40) / 1000), nanos: 123_456_000 })
})

test('reads a time without a zone as UTC', () => {
  const seconds = BigInt(Date.UTC(2026, 10, 23, 5, 40) / 1000)
  expect(parseTime('2026-11-23 05:40:00', '--at')).toEqual({ seconds, nanos: 0 })
  expect(parseTime('2026-11-23T06:40:00+01:00', '--at')).toEqual({ seconds, nanos: 0 })
  for (const text of ['yesterday', '2026-13-01', '23.11.2026', '2026-11-23T25:00:00Z']) {
    expect(() => parseTime(text, '--at')).toThrow(CliError)
  }
})

test.each([
  ['numpy==2.1', { name: 'numpy', version: '2.1' }],
  ['numpy>=2,<3', { name: 'numpy', version: '>=2,<3' }],
  ['onnxruntime', { name: 'onnxruntime', version: '' }],
  ['onnx-web@1.30.0', { name: 'onnx-web', version: '1.30.0' }],
  ['@scope/pkg@1.0.0', { name: '@scope/pkg', version: '1.0.0' }],
])('parses the dependency %s', (text, dependency) => {
  expect(parseDependency(text)).toEqual(dependency)
})

test('parses a parent with the relation before or after the version', () => {
  expect(parseParent('fine-tuned=fraud/scorer:7')).toEqual({ ref: 'fraud/scorer:7', relation: 1 })
  expect(parseParent('vad:7:quantised')).toEqual({ ref: 'vad:7', relation: 3 })
  expect(parseParent('vad@champion:merged')).toEqual({ ref: 'vad@champion', relation: 4 })
  for (const text of ['vad:7', 'cousin=vad:7', 'distilled=']) expect(() => parseParent(text)).toThrow(CliError)
})

test.each([
  ['https://h/r@abc', { repository: 'https://h/r', commit: 'abc' }],
  ['git@github.com:o/r.git@abc', { repository: 'git@github.com:o/r.git', commit: 'abc' }],
  ['https://h/r@abc#train', { repository: 'https://h/r', commit: 'abc', path: 'train' }],
  ['https://h/r', { repository: 'https://h/r' }],
  ['git@github.com:o/r.git', { repository: 'git@github.com:o/r.git' }],
])('parses the source %s', (text, source) => {
  expect(parseSource(text)).toEqual(source)
})

test('rejects a signature that is not an object', () => {
  expect(parseSignature('{"inputs":[]}', 'f')).toEqual({ inputs: [] })
  for (const text of ['[]', '1', 'null', '{']) expect(() => parseSignature(text, 'f')).toThrow(CliError)
})

test('removes passwords from the URL of a remote', () => {
  expect(withoutPassword('https://bot:secret@h/r.git')).toBe('https://h/r.git')
  expect(withoutPassword('https://token@h/r.git')).toBe('https://h/r.git')
  expect(withoutPassword('ssh://git@h/r.git')).toBe('ssh://git@h/r.git')
  expect(withoutPassword('git@github.com:o/r.git')).toBe('git@github.com:o/r.git')
})
