// `npm run admin-token`, as an operator runs it.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { Role } from '../../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { openIdentity } from '../../support/identity.ts'

const identity = await openIdentity()
afterAll(() => identity.close())

const JOB = fileURLToPath(new URL('../../../services/metadata/admin-token.ts', import.meta.url))

interface Ended {
  code: number
  stdout: string
  stderr: string
}

function run(environment: Record<string, string>, ...args: string[]): Promise<Ended> {
  const env = { PATH: process.env['PATH'] ?? '', ...environment }
  return new Promise((resolve) => {
    execFile(process.execPath, [JOB, ...args], { env, timeout: 20_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })
}

test('prints a token of an administrator, and nothing else, on standard output', async () => {
  const { code, stdout, stderr } = await run({ DATABASE_URL: identity.url }, 'ops')
  expect(code).toBe(0)
  expect(stdout).toMatch(/^mk_[A-Za-z0-9_-]{43}\n$/)
  expect(stderr).not.toContain(stdout.trim())
  const who = await identity.as(stdout.trim()).whoAmI({})
  expect(who).toMatchObject({ principal: 'ops', roles: [{ namespace: '*', role: Role.ADMIN }] })
  expect((await run({ DATABASE_URL: identity.url })).stdout).toMatch(/^mk_/)
})

test('creates a new token at each call and says so; earlier tokens remain valid', async () => {
  const [first, second] = [
    await run({ DATABASE_URL: identity.url }, 'ops'),
    await run({ DATABASE_URL: identity.url }, 'ops'),
  ]
  expect(second.stdout).not.toBe(first.stdout)
  expect(second.stderr).toBe(
    'New token created, valid for 365 days. It is shown only once. Earlier tokens remain valid.\n',
  )
  for (const { stdout } of [first, second]) {
    expect(await identity.as(stdout.trim()).whoAmI({})).toMatchObject({ principal: 'ops' })
  }
})

test('reports what is wrong, and fails', async () => {
  expect(await run({})).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('DATABASE_URL is missing'),
  })
  const nowhere = { DATABASE_URL: 'postgresql://user:pa55word@127.0.0.1:1/none' }
  const refused = await run(nowhere)
  expect(refused).toMatchObject({ code: 1, stdout: '' })
  expect(refused.stderr).toContain('database')
  expect(refused.stderr).not.toContain('pa55word')
  expect(await run({ DATABASE_URL: identity.url }, 'No Body')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('principal'),
  })
})
