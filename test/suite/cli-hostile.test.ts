// Pulls from a hostile server, over a broken connection, and into unexpected directories.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runCli } from '../support/cli.ts'
import { startFakeRegistry, type FakeRegistry } from '../support/fake-registry.ts'

const bytes = randomBytes(300_000)
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

function pull(registry: FakeRegistry, ...more: string[]) {
  const environment = { MODELKEEP_ADDRESS: registry.address, MODELKEEP_TOKEN: 'mk_fake' }
  return runCli(['pull', 'vad:1', join(directory, 'out'), ...more], environment)
}

describe('a hostile manifest', () => {
  test.each([
    '../escape',
    '/etc/modelkeep-escape',
    'a/../../escape',
    'a//b',
    './a',
    'C:\\escape',
    'a\\..\\b',
    'nul\u0000byte',
    'con',
    'x/aux.txt',
    'trailing./x',
  ])('is rejected: %j', async (path) => {
    await using registry = await startFakeRegistry([{ path, bytes }])
    const { code, err } = await pull(registry)
    expect(err).toContain('manifest is unsafe')
    expect(code).toBe(7)
    expect(await readdir(directory)).toEqual([])
  })

  test('is rejected if two paths differ in case only', async () => {
    await using registry = await startFakeRegistry([
      { path: 'Model.bin', bytes },
      { path: 'model.bin', bytes },
    ])
    expect((await pull(registry)).code).toBe(7)
    expect(await readdir(directory)).toEqual([])
  })

  test('is rejected if a file is also a directory', async () => {
    await using registry = await startFakeRegistry([
      { path: 'a', bytes },
      { path: 'a/b', bytes },
    ])
    expect((await pull(registry)).code).toBe(7)
  })

  test('is rejected if its bytes do not have the digest of the version', async () => {
    await using registry = await startFakeRegistry([{ path: 'a', bytes }], { digest: `sha256:${'0'.repeat(64)}` })
    const { code, err } = await pull(registry)
    expect(err).toContain('manifest has digest')
    expect(code).toBe(7)
    expect(await readdir(directory)).toEqual([])
  })
})

test('pulls from an honest server, and a second pull finds the files', async () => {
  await using registry = await startFakeRegistry([
    { path: 'deep/er/model.bin', bytes },
    { path: 'empty', bytes: Buffer.alloc(0) },
  ])
  const first = await pull(registry)
  expect(first.err).toBe('')
  expect(first.code).toBe(0)
  expect(await readFile(join(directory, 'out/deep/er/model.bin'))).toEqual(bytes)
  expect(await readFile(join(directory, 'out/empty'))).toHaveLength(0)
  expect(await readdir(directory)).toEqual(['out'])
  const sent = registry.sent()
  const second = await pull(registry)
  expect(second.out).toContain('already')
  expect(second.code).toBe(0)
  expect(registry.sent()).toBe(sent)
})

test('never puts wrong bytes in place', async () => {
  const corrupt = (chunk: Buffer, offset: number): Buffer => (offset === 0 ? Buffer.alloc(chunk.length) : chunk)
  await using registry = await startFakeRegistry([{ path: 'a', bytes }], { corrupt })
  const { code, err } = await pull(registry)
  expect(err).toContain('were wrong 3 times')
  expect(code).toBe(7)
  expect(existsSync(join(directory, 'out'))).toBe(false)
})

test('downloads a damaged part again, alone', async () => {
  let spoiled = false
  const corrupt = (chunk: Buffer, offset: number): Buffer => {
    if (spoiled || offset < 128 * 1024) return chunk
    spoiled = true
    return Buffer.alloc(chunk.length)
  }
  await using registry = await startFakeRegistry([{ path: 'a', bytes }], { corrupt })
  expect((await pull(registry)).code).toBe(0)
  expect(await readFile(join(directory, 'out/a'))).toEqual(bytes)
})

test('resumes after repeatedly lost connections', async () => {
  let chunks = 0
  const cutBefore = (): boolean => {
    chunks += 1
    return chunks % 7 === 0
  }
  await using registry = await startFakeRegistry([{ path: 'a', bytes }], { cutBefore })
  const { code, err } = await pull(registry)
  expect(err).toBe('')
  expect(code).toBe(0)
  expect(await readFile(join(directory, 'out/a'))).toEqual(bytes)
})

test('retries calls that fail once', async () => {
  await using registry = await startFakeRegistry([{ path: 'a', bytes }], { failFirst: 'DEPENDENCY_UNAVAILABLE' })
  expect(await pull(registry)).toMatchObject({ err: '', code: 0 })
  const rpcs = ['resolveVersion', 'getManifest', 'downloadBlob']
  expect(registry.calls).toEqual(rpcs.flatMap((name) => [name, name]))
  expect(await readFile(join(directory, 'out/a'))).toEqual(bytes)
})

test('does not retry a call that fails permanently', async () => {
  await using registry = await startFakeRegistry([{ path: 'a', bytes }], { failFirst: 'INTERNAL' })
  expect(await pull(registry)).toMatchObject({ err: expect.stringContaining('failed once') as string, code: 1 })
  expect(registry.calls).toEqual(['resolveVersion'])
})

test('resumes a stream that ends early without an error', async () => {
  await using registry = await startFakeRegistry([{ path: 'a', bytes }], { endAfter: 100_000 })
  expect((await pull(registry)).code).toBe(0)
  expect(await readFile(join(directory, 'out/a'))).toEqual(bytes)
})

describe('a file that an earlier pull left', () => {
  async function leave(registry: FakeRegistry, content: Buffer): Promise<string> {
    const partial = join(directory, `out.modelkeep-partial-${registry.digest.slice(7, 23)}`)
    await mkdir(partial, { mode: 0o700 })
    await writeFile(join(partial, 'a'), content)
    return partial
  }

  test('is not downloaded again', async () => {
    await using registry = await startFakeRegistry([{ path: 'a', bytes }])
    await leave(registry, bytes.subarray(0, 200_000))
    expect((await pull(registry, '--json')).code).toBe(0)
    expect(registry.sent()).toBe(100_000)
    expect(await readFile(join(directory, 'out/a'))).toEqual(bytes)
  })

  test('is downloaded again where a part is wrong, and resumed where it ends', async () => {
    await using registry = await startFakeRegistry([{ path: 'a', bytes }])
    const spoiled = Buffer.from(bytes.subarray(0, 280_000))
    spoiled[100_000]! ^= 1
    await leave(registry, spoiled)
    expect((await pull(registry)).code).toBe(0)
    expect(registry.sent()).toBe(64 * 1024 + 20_000)
    expect(await readFile(join(directory, 'out/a'))).toEqual(bytes)
  })

  test('is downloaded again as a whole if only the whole has a digest', async () => {
    const small = bytes.subarray(0, 50_000)
    await using registry = await startFakeRegistry([{ path: 'a', bytes: small }])
    await leave(registry, Buffer.alloc(30_000))
    expect((await pull(registry)).code).toBe(0)
    expect(await readFile(join(directory, 'out/a'))).toEqual(small)
  })

  test('is removed if the version does not have it', async () => {
    await using registry = await startFakeRegistry([{ path: 'a', bytes }])
    const partial = await leave(registry, bytes)
    await mkdir(join(partial, 'x/y'), { recursive: true })
    await writeFile(join(partial, 'x/y/foreign'), 'foreign')
    expect((await pull(registry)).code).toBe(0)
    expect(await readdir(join(directory, 'out'))).toEqual(['a'])
  })

  test('is not followed if it is a link', async () => {
    await using registry = await startFakeRegistry([{ path: 'd/a', bytes }])
    const partial = join(directory, `out.modelkeep-partial-${registry.digest.slice(7, 23)}`)
    const elsewhere = join(directory, 'elsewhere')
    await mkdir(partial, { mode: 0o700 })
    await mkdir(elsewhere)
    await symlink(elsewhere, join(partial, 'd'))
    expect((await pull(registry)).code).toBe(5)
    expect(await readdir(elsewhere)).toEqual([])
  })
})
