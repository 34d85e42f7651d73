import { expect, test } from 'vitest'
import { digestOf, parseFiles, readManifest, writeManifest } from '../../services/artifact/domain/manifest.ts'

const A = `sha256:${'a'.repeat(64)}`
const B = `sha256:${'b'.repeat(64)}`
const file = (path: string, digest = A, sizeBytes = 3n, mediaType = '') => ({ path, digest, sizeBytes, mediaType })
const layer = (path: string, kind: string, digest: string, size: number) =>
  `{"mediaType":"application/vnd.cncf.model.${kind}.v1.raw","digest":"${digest}","size":${size},` +
  `"annotations":{"org.cncf.model.filepath":"${path}"}}`

test('writes a manifest in one canonical form', () => {
  const { content, digest, config, totalSizeBytes } = writeManifest(
    parseFiles([file('weights/model.onnx', B, 9n), file('README.md'), file('config.json')]),
  )
  const expectedConfig = `{"descriptor":{},"config":{},"modelfs":{"type":"layers","diffIds":["${A}","${A}","${B}"]}}`
  expect(config.content.toString()).toBe(expectedConfig)
  expect(content.toString()).toBe(
    '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",' +
      '"artifactType":"application/vnd.cncf.model.manifest.v1+json",' +
      `"config":{"mediaType":"application/vnd.cncf.model.config.v1+json","digest":"${config.digest}","size":${expectedConfig.length}},` +
      `"layers":[${layer('README.md', 'doc', A, 3)},${layer('config.json', 'weight.config', A, 3)},${layer('weights/model.onnx', 'weight', B, 9)}]}`,
  )
  expect(digest).toBe(digestOf(content))
  expect(totalSizeBytes).toBe(15n)
})

test('writes the same bytes for equal files in another order', () => {
  const files = [file('b'), file('a'), file('c/d', B, 7n)]
  expect(writeManifest(parseFiles(files)).content).toEqual(writeManifest(parseFiles(files.toReversed())).content)
})

test('reads a manifest back as it was written', () => {
  const files = parseFiles([file('größe/x'), file('😀.bin', B, 2n ** 42n)])
  expect(readManifest(writeManifest(files).content)).toEqual(files)
})

test.each([
  ['model.safetensors', 'weight'],
  ['model.onnx', 'weight'],
  ['noextension', 'weight'],
  ['config.json', 'weight.config'],
  ['a/tokenizer.JSON', 'weight.config'],
  ['vocab.txt', 'weight.config'],
  ['README', 'doc'],
  ['README.md', 'doc'],
  ['LICENSE.txt', 'doc'],
  ['figures/loss.png', 'doc'],
  ['modeling.py', 'code'],
  ['requirements.txt', 'code'],
  ['train.parquet', 'dataset'],
  ['eval/set.jsonl', 'dataset'],
])('maps %s to %s', (path, kind) => {
  const [parsed] = parseFiles([file(path)])
  expect(parsed!.mediaType).toBe(`application/vnd.cncf.model.${kind}.v1.raw`)
})

test('accepts a raw media type of ModelPack, and rejects others', () => {
  const dataset = 'application/vnd.cncf.model.dataset.v1.raw'
  expect(parseFiles([file('x.json', A, 3n, dataset)])[0]!.mediaType).toBe(dataset)
  for (const bad of ['text/plain', 'application/vnd.cncf.model.weight.v1.tar']) {
    expect(() => parseFiles([file('a'), file('b', A, 3n, bad)])).toThrow('files[1].media_type must be empty or one of')
  }
})

test.each([
  [[], 'files must not be empty'],
  [[file('a', 'sha256:1')], 'files[0].digest must be "sha256:"'],
  [[file('a'), file('b', A, -1n)], 'files[1].size_bytes must not be negative'],
  [[file('a', A, 6n * 1024n ** 4n)], 'files[0].size_bytes must have at most'],
  [[file('a'), file('b', B), file('c', A, 4n)], 'files[2].size_bytes must equal that of files[0]'],
])('rejects files %#: %s', (files, message) => {
  expect(() => parseFiles(files)).toThrow(message)
})

test('rejects more than 100,000 files', () => {
  const files = Array.from({ length: 100_001 }, (_, index) => file(`f${index}`))
  expect(() => parseFiles(files)).toThrow('files must have at most 100000 files')
  expect(parseFiles(files.slice(1))).toHaveLength(100_000)
})
