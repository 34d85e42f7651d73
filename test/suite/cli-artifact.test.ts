// A version with damaged bytes is detected, cannot be pulled, and is repaired by pushing the same bytes again.
import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { StandaloneHome } from '../support/standalone-home.ts'

let server: StandaloneHome
beforeAll(async () => {
  server = await StandaloneHome.open()
})
afterAll(() => server.close())

test('verifies a version, reports damaged bytes, and repairs them', async () => {
  const bytes = randomBytes(100_000)
  const file = await server.write('model.bin', bytes)
  await server.ok('push', file, 'bad')
  expect(await server.ok('artifact', 'verify', 'bad:1')).toMatch(/right +97\.7 KiB +sha256:[0-9a-f]{64} +model\.bin/)
  const object = (await findFiles(join(server.home, 'data'))).find(({ content }) => content.equals(bytes))
  const damaged = Buffer.from(bytes)
  damaged[5_000]! ^= 1
  await writeFile(object!.path, damaged)
  const { code, err } = await server.run('artifact', 'verify', 'bad:1')
  expect(code).toBe(7)
  expect(err).toContain('1 of 1 files are damaged or missing')
  expect(await server.ok('artifact', 'stat', 'bad:1')).toMatch(/quarantined .*model\.bin/)
  expect((await server.run('pull', 'bad:1', join(server.home, 'out'))).code).toBe(7)
  await server.run('push', file, 'bad')
  expect(await server.ok('artifact', 'verify', 'bad:1')).toContain('right')
  await server.ok('pull', 'bad:1', join(server.home, 'out'))
  expect((await readFile(join(server.home, 'out', 'model.bin'))).equals(bytes)).toBe(true)
  expect(await server.ok('log')).toMatch(/service:artifact +blob quarantined/)
  expect(await server.ok('artifact', 'gc')).toBe('no garbage\n')
})

async function findFiles(folder: string): Promise<{ path: string; content: Buffer }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const objects = entries.filter((entry) => entry.isFile() && /^[0-9a-f]{8}-/.test(entry.name))
  const paths = objects.map((entry) => join(entry.parentPath, entry.name))
  return Promise.all(paths.map(async (path) => ({ path, content: await readFile(path) })))
}
