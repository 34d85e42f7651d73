// Pushes to a real standalone server: repeated, killed, concurrent, and from a git work tree.
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { appendFile, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCli } from '../support/cli.ts'
import { startStallingProxy } from '../support/proxy.ts'
import { StandaloneHome, type Pushed } from '../support/standalone-home.ts'

const MEBIBYTE = 1024 * 1024

let server: StandaloneHome

beforeAll(async () => {
  server = await StandaloneHome.open()
})

afterAll(() => server.close())

describe('push', () => {
  test('of the same bytes changes nothing, and reports it', async () => {
    const file = await server.write('same.bin', randomBytes(1000))
    const first = await server.json<Pushed>('push', file, 'same', '--metric', 'auc=0.9')
    const second = await server.json<Pushed>('push', file, 'same', '--metric', 'auc=0.9')
    expect(second.version).toMatchObject({ id: first.version.id, number: 1 })
    expect([first.created, second.created]).toEqual([true, false])
    expect(await server.ok('show', first.version.id)).toContain('default/same:1')
    expect(second.sentBytes).toBe(0)
    expect(await server.ok('push', file, 'same')).toContain('already registered as default/same:1')
  })

  test('uploads only missing blobs', async () => {
    const directory = join(server.home, 'parts')
    await mkdir(join(directory, 'sub'), { recursive: true })
    await writeFile(join(directory, 'weights'), randomBytes(100_000))
    await writeFile(join(directory, 'sub', 'copy'), await readFile(join(directory, 'weights')))
    await writeFile(join(directory, 'empty'), '')
    const first = await server.json<Pushed>('push', directory, 'parts')
    expect(first).toMatchObject({ sentBytes: 100_000, existingBytes: 100_000 })
    await writeFile(join(directory, 'config.json'), '{}')
    const second = await server.json<Pushed>('push', directory, 'parts')
    expect(second.version.number).toBe(2)
    expect(second).toMatchObject({ sentBytes: 2, existingBytes: 200_000 })
    await server.ok('pull', 'parts:2', join(server.home, 'parts-out'))
    expect((await readdir(join(server.home, 'parts-out'), { recursive: true })).toSorted()).toEqual([
      'config.json',
      'empty',
      'sub',
      join('sub', 'copy'),
      'weights',
    ])
  })

  test('that was killed resumes where it stopped', { timeout: 120_000 }, async () => {
    const bytes = randomBytes(100 * MEBIBYTE)
    const file = await server.write('large.bin', bytes)
    const token = await server.token()
    {
      await using proxy = await startStallingProxy(await server.address(), { up: 80 * MEBIBYTE })
      const push = startCli(['push', file, 'large'], { MODELKEEP_ADDRESS: proxy.address, MODELKEEP_TOKEN: token })
      await proxy.stalled
      push.process.kill('SIGKILL')
      await push.ended
    }
    const again = await server.json<Pushed>('push', file, 'large')
    expect(again.version.number).toBe(1)
    expect(again.sentBytes).toBeGreaterThan(0)
    expect(again.sentBytes).toBeLessThan(90 * MEBIBYTE)
    expect(again.sentBytes + again.existingBytes).toBe(bytes.length)
    {
      await using proxy = await startStallingProxy(await server.address(), { down: 50 * MEBIBYTE })
      const args = ['pull', 'large:1', join(server.home, 'large-out')]
      const pull = startCli(args, { MODELKEEP_ADDRESS: proxy.address, MODELKEEP_TOKEN: token })
      await proxy.stalled
      // The pull has not yet written all bytes that passed the proxy.
      await expect.poll(() => writtenBelow(server.home), { timeout: 60_000 }).toBeGreaterThan(25 * MEBIBYTE)
      pull.process.kill('SIGKILL')
      await pull.ended
    }
    expect(await readdir(server.home)).not.toContain('large-out')
    const pulled = await server.json<{ receivedBytes: number }>('pull', 'large:1', join(server.home, 'large-out'))
    expect(pulled.receivedBytes).toBeLessThan(90 * MEBIBYTE)
    const digest = createHash('sha256').update(bytes).digest('hex')
    const content = await readFile(join(server.home, 'large-out', 'large.bin'))
    expect(createHash('sha256').update(content).digest('hex')).toBe(digest)
    expect((await readdir(server.home)).filter((name) => name.includes('partial'))).toEqual([])
  })

  test('that was interrupted prints how to resume', async () => {
    const file = await server.write('interrupted.bin', randomBytes(40 * MEBIBYTE))
    const token = await server.token()
    await using proxy = await startStallingProxy(await server.address(), { up: 20 * MEBIBYTE })
    const push = startCli(['push', file, 'interrupted'], { MODELKEEP_ADDRESS: proxy.address, MODELKEEP_TOKEN: token })
    await proxy.stalled
    push.process.kill('SIGINT')
    const { code, err } = await push.ended
    expect(code).toBe(130)
    expect(err).toContain('run the same command again')
  })

  test('running twice at once makes one version of equal bytes, and dense numbers of others', async () => {
    const equal = await server.write('equal.bin', randomBytes(20 * MEBIBYTE))
    const both = await Promise.all([
      server.json<Pushed>('push', equal, 'race'),
      server.json<Pushed>('push', equal, 'race'),
    ])
    expect(both.map(({ version }) => version.number)).toEqual([1, 1])
    const files = await Promise.all([1, 2, 3].map((name) => server.write(`race-${name}.bin`, randomBytes(10_000))))
    const others = await Promise.all(files.map((file) => server.json<Pushed>('push', file, 'race')))
    expect(others.map(({ version }) => version.number).toSorted((a, b) => a - b)).toEqual([2, 3, 4])
  })

  test('of the bytes of a deleted version makes a new version', async () => {
    const file = await server.write('again.bin', randomBytes(100))
    await server.json('push', file, 'again')
    await server.ok('version', 'delete', 'again:1', '--yes')
    const { version, created } = await server.json<Pushed>('push', file, 'again')
    expect(version.number).toBe(2)
    expect(created).toBe(true)
  })

  test('reports a file that changes during the push, and registers nothing', async () => {
    const file = await server.write('changing.bin', randomBytes(60 * MEBIBYTE))
    const token = await server.token()
    await using proxy = await startStallingProxy(await server.address(), { up: 10 * MEBIBYTE })
    const push = startCli(['push', file, 'changing'], { MODELKEEP_ADDRESS: proxy.address, MODELKEEP_TOKEN: token })
    await proxy.stalled
    await appendFile(file, 'more')
    await proxy[Symbol.asyncDispose]()
    const { code, err } = await push.ended
    expect(err).toContain('changed while it was being read')
    expect(code).toBe(1)
    expect((await server.run('show', 'changing')).code).toBe(3)
  })

  test('records the commit of the work tree, without passwords', async () => {
    const work = join(server.home, 'work')
    await mkdir(work)
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', work, '-c', 'user.name=n', '-c', 'user.email=e', ...args])
    git('init', '-q')
    git('remote', 'add', 'origin', 'https://bot:secret@example.com/r.git')
    await writeFile(join(work, 'train.py'), 'pass')
    git('add', '.')
    git('commit', '-q', '-m', 'first')
    const commit = git('rev-parse', 'HEAD').toString().trim()
    await writeFile(join(work, 'model.bin'), randomBytes(10))
    await server.ok('push', join(work, 'model.bin'), 'made')
    expect(await server.ok('show', 'made:1')).toContain(`https://example.com/r.git@${commit}#model.bin\n`)
    await writeFile(join(work, 'train.py'), 'changed')
    await server.ok('push', work, 'made')
    expect(await server.ok('show', 'made:2')).toContain(`@${commit} (with uncommitted changes)`)
    await writeFile(join(work, 'model.bin'), randomBytes(10))
    await server.ok('push', work, 'made', '--no-git')
    expect(await server.ok('show', 'made:3')).not.toContain('example.com')
  })

  test.each<[number, ...string[]]>([
    [2, '--semver', 'one'],
    [2, '--param', 'lr=1', '--param', 'lr=2'],
    [2, '--metric', 'f1=1', '--metric', 'f1=2'],
    [2, '--dataset', 'name=a', '--dataset', 'name=a,digest=b'],
    [2, '--label', `${'k'.repeat(64)}=v`],
    [2, '--alias', 'latest'],
    [2, '--alias', 'v2'],
    [2, '--alias', 'not an alias'],
    [3, '--parent', 'fine-tuned=nowhere:1'],
  ])('exits with %i before anything is sent or created: %s %s', async (expected, ...options) => {
    const bytes = randomBytes(1000)
    const file = await server.write('mistaken.bin', bytes)
    const { code, err } = await server.run('push', file, 'mistaken', ...options)
    expect(err).toMatch(/^modelkeep: /)
    expect(code).toBe(expected)
    expect((await server.run('show', 'mistaken')).code).toBe(3)
    expect((await server.json<Pushed>('push', file, 'right')).sentBytes).toBe(bytes.length)
  })

  test('to a missing namespace, or with a taken semver, sends nothing', async () => {
    const file = await server.write('homeless.bin', randomBytes(1000))
    const homeless = await server.run('push', file, 'ghost/model')
    expect(homeless).toMatchObject({ code: 3, err: expect.stringContaining('namespace create ghost') as string })
    await server.json('push', await server.write('taken.bin', randomBytes(1000)), 'taken', '--semver', '1.0.0')
    const taken = await server.run('push', file, 'taken', '--semver', '1.0.0')
    expect(taken).toMatchObject({
      code: 5,
      err: expect.stringContaining('semver 1.0.0 is already taken by default/taken:1') as string,
    })
    expect((await server.json<Pushed>('push', file, 'taken')).sentBytes).toBe(1000)
  })

  test('of bytes that are registered with another semver prints a warning', async () => {
    const file = await server.write('versioned.bin', randomBytes(100))
    await server.json('push', file, 'versioned')
    const { code, err } = await server.run('push', file, 'versioned', '--semver', '1.0.0')
    expect(err).toContain('registered with no semver, not 1.0.0')
    expect(code).toBe(0)
    const { warnings } = await server.json<{ warnings: string[] }>('push', file, 'versioned', '--semver', '1.0.0')
    expect(warnings).toHaveLength(1)
    expect(await server.json('push', file, 'versioned')).toMatchObject({ warnings: [] })
  })

  test('rejects links to outside targets, and an empty directory', async () => {
    const directory = join(server.home, 'links')
    await mkdir(directory)
    const empty = await server.run('push', directory, 'links')
    expect(empty).toMatchObject({ code: 2, err: expect.stringContaining('no files') as string })
    await symlink('/etc/passwd', join(directory, 'secret'))
    const { code, err } = await server.run('push', directory, 'links')
    expect(err).toContain('a link to a target outside the directory')
    expect(code).toBe(2)
  })
})

/** Returns the size on disk of the file that a pull is writing below a directory. */
async function writtenBelow(directory: string): Promise<number> {
  const partial = (await readdir(directory)).find((name) => /-partial-[0-9a-f]+$/.test(name))
  const found = partial && (await stat(join(directory, partial, 'large.bin')).catch(() => undefined))
  return found ? found.blocks * 512 : 0
}
