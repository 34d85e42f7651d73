// Data directories of `npm start`: closed to others, copied, moved, of another user, or unusable.
import { createClient } from '@connectrpc/connect'
import { chmod, chown, cp, mkdir, mkdtemp, readlink, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { end, launch, REPOSITORY, running, start } from '../support/standalone.ts'

const NOBODY = 65_534
const isRoot = process.getuid?.() === 0

const home = await mkdtemp(join(tmpdir(), 'modelkeep-directory-'))
await chmod(home, 0o755)
afterAll(async () => {
  for (const child of running) await end(child, 'SIGTERM')
  await rm(home, { recursive: true, force: true })
})

test('starts below a directory that other users cannot read', async () => {
  const closed = join(home, 'closed')
  await mkdir(closed, { mode: 0o700 })
  const below = join(closed, 'deep', 'data')
  const server = await start(below)
  await createClient(ModelService, server.transport).createModel({ name: 'scorer' })
  await end(server.child, 'SIGTERM')
  const again = await start(below)
  expect((await createClient(ModelService, again.transport).listModels({})).models.length).toBe(1)
  await end(again.child, 'SIGTERM')
  const elsewhere = await readlink(join(below, 'postgres')).catch(() => undefined)
  await rm(below, { recursive: true })
  const anew = await start(below)
  expect((await createClient(ModelService, anew.transport).listModels({})).models).toEqual([])
  await end(anew.child, 'SIGTERM')
  for (const place of [elsewhere, await readlink(join(below, 'postgres')).catch(() => undefined)]) {
    if (place) await rm(place, { recursive: true })
  }
})

test.skipIf(!isRoot)(
  'a copied directory does not use the database of the original; a moved one still has its own',
  async () => {
    const closed = join(home, 'closed for copies')
    await mkdir(closed, { mode: 0o700 })
    const first = await start(join(closed, 'data'))
    expect(first.said()).toContain('database     /var/lib/modelkeep/')
    await end(first.child, 'SIGTERM')
    await cp(join(closed, 'data'), join(closed, 'copy'), { recursive: true, verbatimSymlinks: true })
    const copy = launch(join(closed, 'copy'))
    expect(await copy.exit).toBe(1)
    expect(copy.logged()).toContain(`is a copy of ${join(closed, 'data', 'postgres')} without its database`)
    await rename(join(closed, 'data'), join(closed, 'moved'))
    const moved = await start(join(closed, 'moved'))
    expect(moved.token).toBe(first.token)
    await end(moved.child, 'SIGTERM')
    await rm(await readlink(join(closed, 'moved', 'postgres')), { recursive: true })
  },
)

test('works as an ordinary user', async ({ skip }) => {
  if (!isRoot) skip('every test in this file already runs as one')
  const wall = await closedTo(NOBODY, process.execPath, REPOSITORY)
  if (wall) skip(`an ordinary user cannot reach ${wall}, above this checkout`)
  const own = join(home, 'own')
  await mkdir(own, { mode: 0o700 })
  await chown(own, NOBODY, NOBODY)
  const server = await start(join(own, 'data'), { user: NOBODY })
  expect((await stat(join(own, 'data'))).mode & 0o777).toBe(0o700)
  expect((await stat(join(own, 'data', 'admin-token'))).uid).toBe(NOBODY)
  await createClient(ModelService, server.transport).createModel({ name: 'scorer' })
  server.child.kill('SIGTERM')
  expect(await server.exit).toBe(0)
  const asRoot = await start(join(own, 'data'))
  expect((await createClient(ModelService, asRoot.transport).listModels({})).models.length).toBe(1)
  await end(asRoot.child, 'SIGTERM')
  const again = await start(join(own, 'data'), { user: NOBODY })
  await end(again.child, 'SIGTERM')
})

test('reports a data directory that cannot be used', async () => {
  const file = join(home, 'a-file')
  await writeFile(file, '')
  const started = launch(file)
  expect(await started.exit).toBe(1)
  expect(started.logged()).toMatch(/a-file cannot be used .* choose another with --data/)
})

/** The first directory above `paths` that others may not pass. */
async function closedTo(user: number, ...paths: string[]): Promise<string | undefined> {
  for (const path of paths) {
    for (let at = path; at !== dirname(at); at = dirname(at)) {
      const { mode, uid } = await stat(at)
      if (uid !== user && !(mode & 0o001)) return at
    }
  }
}
