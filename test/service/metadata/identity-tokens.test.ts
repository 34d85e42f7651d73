import { timestampDate, timestampFromMs } from '@bufbuild/protobuf/wkt'
import { randomUUID } from 'node:crypto'
import { afterAll, expect, test } from 'vitest'
import { Role } from '../../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { hashToken } from '../../../services/lib/access/authenticate.ts'
import { runSql } from '../../support/database.ts'
import { openIdentity } from '../../support/identity.ts'
import { refusalOf } from '../../support/refusal.ts'

const identity = await openIdentity()
afterAll(() => identity.close())
const { admin } = identity

const DAY = 24 * 3600 * 1000
const inDays = (days: number) => timestampFromMs(Date.now() + days * DAY)

test('creates a token that is shown once and is accepted', async () => {
  const { token, secret } = await admin.createToken({
    principal: 'alice@example.org',
    description: 'laptop · ноутбук',
    expireTime: inDays(30),
  })
  expect(secret).toMatch(/^mk_[A-Za-z0-9_-]{43}$/)
  expect(token).toMatchObject({ principal: 'alice@example.org', description: 'laptop · ноутбук' })
  expect(token!.revokeTime).toBeUndefined()
  expect(Math.abs(timestampDate(token!.expireTime!).getTime() - Date.now() - 30 * DAY)).toBeLessThan(60_000)
  const who = await identity.as(secret).whoAmI({})
  expect(who).toMatchObject({ principal: 'alice@example.org', roles: [], token })
})

test('returns the token without the secret to a repeated request, and creates no second one', async () => {
  const request = { principal: 'repeat', description: '', expireTime: inDays(1), requestId: randomUUID() }
  const first = await admin.createToken(request)
  const second = await admin.createToken(request)
  expect(second).toEqual({ ...first, secret: '' })
  expect((await admin.listTokens({ principal: 'repeat' })).tokens).toEqual([first.token])
  const answers = await Promise.all(Array.from({ length: 6 }, () => admin.createToken({ ...request, requestId: C })))
  expect(answers.filter(({ secret }) => secret !== '')).toHaveLength(1)
  expect(new Set(answers.map(({ token }) => token!.id)).size).toBe(1)
  expect(await refusalOf(admin.createToken({ ...request, description: 'other' }))).toMatchObject({
    code: 'AlreadyExists',
    reason: 'REQUEST_ID_REUSED',
    metadata: { request_id: request.requestId },
  })
})
const C = randomUUID()

test('stores the secret nowhere, and its hash in one column only', async () => {
  const requestId = randomUUID()
  const { secret } = await admin.createToken({ principal: 'ghost', expireTime: inDays(1), requestId })
  await identity.as(secret).whoAmI({})
  await refusalOf(identity.as(secret).listTokens({}))
  const dump = await dumpDatabase()
  const hash = hashToken(secret)
  for (const trace of [
    secret,
    secret.slice(3),
    Buffer.from(secret).toString('hex'),
    Buffer.from(secret).toString('base64'),
  ]) {
    expect(dump).not.toContain(trace)
    expect(identity.logs.join('\n')).not.toContain(trace)
  }
  expect(dump.split(hash.toString('hex'))).toHaveLength(2)
  expect(dump).not.toContain(hash.toString('base64'))
  expect(identity.logs.join('\n')).not.toContain(hash.toString('hex'))
})

test('neither returns nor logs the hash when the database fails', async () => {
  const table = 'alter table metadata.token'
  await runSql(identity.url, `${table} add constraint poison check (principal <> 'poison') not valid`)
  const refused = await refusalOf(admin.createToken({ principal: 'poison', expireTime: inDays(1) }))
  await runSql(identity.url, `${table} drop constraint poison`)
  expect(refused).toMatchObject({ code: 'Internal', reason: 'INTERNAL' })
  const log = identity.logs.at(-2)!
  expect(log).toContain('23514')
  expect(log).toContain('violates check constraint')
  expect(log).not.toMatch(/[0-9a-f]{48}|"data":|mk_|Failing row/)
})

/** Every row of every table of every schema, as text. */
async function dumpDatabase(): Promise<string> {
  const tables = (await runSql(
    identity.url,
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
      where schemaname not in ('pg_catalog', 'information_schema')`,
  )) as { name: string }[]
  const texts = await Promise.all(
    tables.map(
      ({ name }) => runSql(identity.url, `select t::text as text from ${name} t`) as Promise<{ text: string }[]>,
    ),
  )
  expect(tables.length).toBeGreaterThan(5)
  return texts.flatMap((rows) => rows.map(({ text }) => text)).join('\n')
}

test.each([
  ['principal', { principal: '' }],
  ['principal', { principal: 'Alice' }],
  ['principal', { principal: 'service:metadata' }],
  ['principal', { principal: `a${'b'.repeat(128)}` }],
  ['principal', { principal: 'a\n' }],
  ['description', { description: 'x'.repeat(256) }],
  ['description', { description: 'a\0b' }],
  ['expire_time', { expireTime: undefined }],
  ['expire_time', { expireTime: timestampFromMs(Date.now() - 1000) }],
  ['expire_time', { expireTime: inDays(367) }],
  ['expire_time', { expireTime: { seconds: 1n << 60n, nanos: 0 } }],
  ['expire_time', { expireTime: { seconds: 1_900_000_000n, nanos: -5 } }],
  ['request_id', { requestId: 'twelve' }],
])('rejects a token with a bad %s: %o', async (field, change) => {
  const request = { principal: 'bad-input', expireTime: inDays(1), ...change }
  const refused = await refusalOf(admin.createToken(request))
  expect(refused).toMatchObject({ code: 'InvalidArgument', fields: [field], metadata: { field } })
  expect(refused.message).toContain(field)
  expect((await admin.listTokens({ principal: 'bad-input' })).tokens).toEqual([])
})

test('accepts a principal and a description of the maximum length', async () => {
  const principal = `a${'.'.repeat(126)}z`
  const { token } = await admin.createToken({ principal, description: '🗝'.repeat(255), expireTime: inDays(365) })
  expect(token).toMatchObject({ principal, description: '🗝'.repeat(255) })
})

test('lists tokens newest first, page by page, also of one principal', async () => {
  const made: string[] = []
  for (let count = 0; count < 5; count += 1) made.unshift((await identity.newToken('pages')).id)
  await admin.revokeToken({ id: made[2]! })
  const seen: string[] = []
  let pageToken = ''
  do {
    const page = await admin.listTokens({ principal: 'pages', pageSize: 2, pageToken })
    seen.push(...page.tokens.map(({ id }) => id))
    pageToken = page.nextPageToken
  } while (pageToken !== '')
  expect(seen).toEqual(made)
  const all = await admin.listTokens({ pageSize: 5000 })
  expect(all.tokens.slice(0, 5).map(({ id }) => id)).toEqual(made)
  expect(all.tokens.length).toBeGreaterThan(5)
  expect(all.tokens[2]!.revokeTime).toBeDefined()
})

test.each([{ pageSize: -1 }, { pageToken: 'x' }, { principal: 'NO' }])(
  'rejects a bad list request: %o',
  async (request) => {
    expect((await refusalOf(admin.listTokens(request))).code).toBe('InvalidArgument')
  },
)

test('rejects a page token of another principal or with a forged key', async () => {
  const { nextPageToken } = await admin.listTokens({ principal: 'pages', pageSize: 1 })
  const [query] = JSON.parse(Buffer.from(nextPageToken, 'base64url').toString()) as [string]
  const forge = (key: unknown) => Buffer.from(JSON.stringify([query, key])).toString('base64url')
  for (const [principal, pageToken] of [
    ['alice', nextPageToken],
    ['pages', forge("x'; drop table token; --")],
    ['pages', forge('\0')],
    ['pages', forge(7)],
  ] as const) {
    expect(await refusalOf(admin.listTokens({ principal, pageToken }))).toMatchObject({ fields: ['page_token'] })
  }
})

test('rejects a revoked token at once, and changes nothing when it is revoked again', async () => {
  const { id, secret } = await identity.newToken('short-lived')
  await identity.as(secret).whoAmI({})
  const { token } = await admin.revokeToken({ id, reason: 'lost laptop', requestId: randomUUID() })
  expect(token!.revokeTime).toBeDefined()
  expect(await refusalOf(identity.as(secret).whoAmI({}))).toMatchObject({
    code: 'Unauthenticated',
    reason: 'TOKEN_INVALID',
  })
  const events = (await identity.events()).length
  expect((await admin.revokeToken({ id: id.toUpperCase() })).token).toEqual(token)
  expect(await identity.events()).toHaveLength(events)
})

test('rejects the revocation of a missing token, and a bad id or reason', async () => {
  const id = randomUUID()
  expect(await refusalOf(admin.revokeToken({ id }))).toMatchObject({
    code: 'NotFound',
    reason: 'TOKEN_NOT_FOUND',
    metadata: { id },
  })
  expect(await refusalOf(admin.revokeToken({ id: 'x' }))).toMatchObject({ fields: ['id'] })
  expect(await refusalOf(admin.revokeToken({ id, reason: 'é'.repeat(1025) }))).toMatchObject({
    reason: 'LIMIT_EXCEEDED',
    fields: ['reason'],
    metadata: { limit: '2048' },
  })
})

test('emits events for the creation and revocation of tokens, in order', async () => {
  const before = (await identity.events()).length
  const wakes = identity.wakes()
  const { id } = await identity.newToken('eventful')
  await admin.revokeToken({ id, reason: 'no longer needed' }, { headers: { 'x-request-id': 'ticket-7' } })
  const [created, revoked, ...rest] = (await identity.events()).slice(before)
  expect(rest).toEqual([])
  expect(created).toMatchObject({
    type: 'token.created.v1',
    outcome: 'OUTCOME_SUCCEEDED',
    actor: { principal: 'admin', method: 'token', credentialId: (await admin.whoAmI({})).token!.id },
    resource: { type: 'token', id, name: 'eventful' },
    details: { principal: 'eventful' },
  })
  expect(created!.resource.namespace ?? '').toBe('')
  expect(revoked).toMatchObject({ type: 'token.revoked.v1', reason: 'no longer needed', requestId: 'ticket-7' })
  expect(identity.wakes()).toBe(wakes + 2)
})

test('rejects callers who do not administer the installation, with an event each', async () => {
  const bob = await identity.member('bob', 'default', Role.ADMIN)
  const before = (await identity.events()).length
  for (const call of [
    () => bob.createToken({ principal: 'bob', expireTime: inDays(1) }),
    () => bob.listTokens({}),
    () => bob.revokeToken({ id: randomUUID() }),
  ]) {
    expect(await refusalOf(call())).toMatchObject({
      code: 'PermissionDenied',
      reason: 'PERMISSION_DENIED',
      metadata: { permission: 'PLATFORM' },
    })
  }
  const denials = (await identity.events()).slice(before)
  expect(denials).toHaveLength(3)
  expect(denials[0]).toMatchObject({
    type: 'access.denied.v1',
    outcome: 'OUTCOME_DENIED',
    actor: { principal: 'bob' },
    resource: { type: 'rpc', name: 'modelkeep.metadata.v1.IdentityService/CreateToken' },
  })
})

test('rejects token changes without an event, and deletions, in the database', async () => {
  const { id } = await identity.newToken('guarded')
  const em = identity.database.em.fork()
  await expect(em.execute('update token set revoke_time = now() where id = ?', [id])).rejects.toThrow(/audit event/)
  await expect(em.execute('delete from token where id = ?', [id])).rejects.toThrow(/permission denied/)
})
