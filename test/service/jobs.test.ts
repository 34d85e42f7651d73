// The commands of operators, run as operators run them.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, inject, test } from 'vitest'

const MIGRATE = 'services/migrate.ts'
const SERVICE = 'services/main.ts'
const ADMIN_TOKEN = 'services/metadata/admin-token.ts'

function run(job: string, args: string[], environment: Record<string, string> = {}) {
  const path = fileURLToPath(new URL(`../../${job}`, import.meta.url))
  const env = { PATH: process.env['PATH'] ?? '', ...environment }
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [path, ...args], { env, timeout: 20_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })
}

test.each([
  [MIGRATE, 'usage: npm run migrate -- metadata|artifact|audit|all\n'],
  [SERVICE, 'usage: npm run service -- metadata|artifact|audit|witness\n'],
  [
    ADMIN_TOKEN,
    expect.stringMatching(/^usage: npm run admin-token -- \[PRINCIPAL\]\n\nCreates a new token at each call/),
  ],
])('%s --help prints its usage and changes nothing', async (job, stdout) => {
  expect(await run(job, ['--help'])).toEqual({ code: 0, stdout, stderr: '' })
})

test.each([
  [MIGRATE, ['all']],
  [ADMIN_TOKEN, []],
])('%s reports in one line that the database is unavailable', async (job, args) => {
  const nowhere = { DATABASE_URL: 'postgresql://user:pa55word@127.0.0.1:1/none' }
  expect(await run(job, args, nowhere)).toEqual({
    code: 1,
    stdout: '',
    stderr: 'database is unavailable: connect ECONNREFUSED 127.0.0.1:1\n',
  })
  const stranger = new URL(inject('postgresUrl'))
  stranger.username = 'stranger'
  stranger.password = 'pa55word'
  const locked = await run(job, args, { DATABASE_URL: stranger.href })
  expect(locked).toMatchObject({ code: 1, stdout: '' })
  expect(locked.stderr).toMatch(/^database is unavailable: .*stranger.*\n$/)
  expect(locked.stderr).not.toContain('pa55word')
})
