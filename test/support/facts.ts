// Facts of every kind, for versions in tests.
import { fromJson, type JsonValue } from '@bufbuild/protobuf'
import { ValueSchema } from '@bufbuild/protobuf/wkt'
import { DatasetRole } from '#gen/modelkeep/metadata/v1/facts_pb.ts'

export const jsonValue = (json: JsonValue) => fromJson(ValueSchema, json)

export const FACTS = {
  source: { repository: 'https://git.example/scorer', commit: 'abc123', path: 'train', dirty: true },
  run: {
    id: 'run-7',
    uri: 'https://mlflow.example/7',
    startTime: { seconds: 1_700_000_000n, nanos: 123_456_000 },
    endTime: { seconds: 1_700_000_500n, nanos: 0 },
    framework: 'pytorch',
    frameworkVersion: '2.9.1',
  },
  parameters: [
    { name: 'depth', value: jsonValue(12) },
    { name: 'rate', value: jsonValue(1e-5) },
    { name: 'kind', value: jsonValue('gbm') },
    { name: 'warm', value: jsonValue(false) },
    { name: 'layers', value: jsonValue({ sizes: [64, 32], act: 'relu' }) },
  ],
  metrics: [
    { name: 'f1', value: 0.93, dataset: 'holdout', split: 'test' },
    { name: 'f1', value: 0.99, dataset: 'holdout', split: 'train' },
    { name: 'loss', value: -1.5e-7 },
  ],
  datasets: [{ name: 'holdout', uri: 's3://data', digest: 'sha256:ab', role: DatasetRole.TEST }],
  signature: {
    inputs: [{ name: 'x', dataType: 'float32', shape: [-1n, 512n] }],
    outputs: [{ dataType: 'float32', shape: [] }],
  },
  dependencies: [{ name: 'numpy', version: '>=2' }],
  license: 'Apache-2.0 OR MIT',
}
