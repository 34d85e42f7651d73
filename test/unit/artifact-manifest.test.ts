import { describe, expect, test } from 'vitest'
import {
  digestOf,
  parseFiles,
  readManifest,
  writeManifest,
  type File,
} from '../../services/artifact/domain/manifest.ts'

const A = `sha256:${'a'.repeat(64)}`
const B = `sha256:${'b'.repeat(64)}`
const file = (path: string, digest = A, sizeBytes = 3n, mediaType = '') => ({ path, digest, sizeBytes, mediaType })
const layer = (path: string, kind: string, digest: string, size: number) =>
  `{"mediaType":"application/vnd.cncf.model.${kind}.v1.raw","digest":"${digest}","size":${size},` +
  `"annotations":{"org.cncf.model.filepath":"${path}","org.opencontainers.image.title":"${path}"}}`

test('writes a manifest in one canonical form', async () => {
  const { content, digest, config, totalSizeBytes } = await writeManifest(
    await parseFiles([file('weights/model.onnx', B, 9n), file('README.md'), file('config.json')]),
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

test('writes the same bytes for equal files in another order', async () => {
  const files = [file('b'), file('a'), file('c/d', B, 7n)]
  const [one, other] = [await parseFiles(files), await parseFiles(files.toReversed())]
  expect((await writeManifest(one)).content).toEqual((await writeManifest(other)).content)
})

test('reads a manifest back as it was written', async () => {
  const files = await parseFiles([file('größe/x'), file('😀.bin', B, 2n ** 42n), file('}},{/x'), file('layers[')])
  expect(await readManifest((await writeManifest(files)).content)).toEqual(files)
})

test('reads a manifest of many pieces back whole', async () => {
  const names = Array.from({ length: 3_000 }, (_, index) => `${index % 7}/${'ü'.repeat(index % 90)}}},{${index}`)
  const files = await parseFiles(names.map((name) => file(name)))
  expect(await readManifest((await writeManifest(files)).content)).toEqual(files)
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
])('%s is taken as %s', async (path, kind) => {
  const [parsed] = await parseFiles([file(path)])
  expect(parsed!.mediaType).toBe(`application/vnd.cncf.model.${kind}.v1.raw`)
})

test('accepts a raw media type of ModelPack, and rejects others', async () => {
  const dataset = 'application/vnd.cncf.model.dataset.v1.raw'
  expect((await parseFiles([file('x.json', A, 3n, dataset)]))[0]!.mediaType).toBe(dataset)
  for (const bad of ['text/plain', 'application/vnd.cncf.model.weight.v1.tar']) {
    const parsing = parseFiles([file('a'), file('b', A, 3n, bad)])
    await expect(parsing).rejects.toThrow('files[1].media_type must be empty or one of')
  }
})

test.each([
  [[], 'files must not be empty'],
  [[file('a', 'sha256:1')], 'files[0].digest must be "sha256:"'],
  [[file('a'), file('b', A, -1n)], 'files[1].size_bytes must not be negative'],
  [[file('a', A, 6n * 1024n ** 4n)], 'files[0].size_bytes must have at most'],
  [[file('a'), file('b', B), file('c', A, 4n)], 'files[2].size_bytes must equal that of files[0]'],
])('files %# are refused: %s', async (files, message) => {
  await expect(parseFiles(files)).rejects.toThrow(message)
})

test('rejects more than 100,000 files', async () => {
  const files = Array.from({ length: 100_001 }, (_, index) => file(`f${index}`))
  await expect(parseFiles(files)).rejects.toThrow('files must have at most 100000 files')
  expect(await parseFiles(files.slice(1))).toHaveLength(100_000)
})

describe('the event loop', () => {
  const FILES = 40_000
  const files = Array.from({ length: FILES }, (_, index) => file(`d${index % 100}/f${index}`))

  /** Counts the turns that other calls get while `work` runs. */
  async function countTurns(work: () => Promise<unknown>): Promise<number> {
    let turns = 0
    let running = true
    const count = (): void => {
      turns += 1
      if (running) setImmediate(count)
    }
    setImmediate(count)
    await work()
    running = false
    return turns
  }

  test('handles other calls while a large manifest is parsed, written and read', async () => {
    let parsed: File[] = []
    let content: Buffer = Buffer.alloc(0)
    expect(await countTurns(async () => (parsed = await parseFiles(files)))).toBeGreaterThan(FILES / 1_000)
    expect(await countTurns(async () => ({ content } = await writeManifest(parsed)))).toBeGreaterThan(FILES / 1_000)
    expect(await countTurns(() => readManifest(content))).toBeGreaterThan(FILES / 1_000)
  })

  test('stops early when the call is cancelled', async () => {
    const parsed = await parseFiles(files)
    const { content } = await writeManifest(parsed)
    for (const work of [
      (signal: AbortSignal) => parseFiles(files, signal),
      (signal: AbortSignal) => writeManifest(parsed, signal),
      (signal: AbortSignal) => readManifest(content, signal),
    ]) {
      const stop = new AbortController()
      const working = work(stop.signal)
      stop.abort(new Error('cancelled'))
      await expect(working).rejects.toThrow('cancelled')
    }
  })
})
