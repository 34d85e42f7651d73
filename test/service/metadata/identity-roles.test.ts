import { randomUUID } from 'node:crypto'
import { afterAll, expect, test } from 'vitest'
import { Role } from '../../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { openIdentity } from '../../support/identity.ts'
import { refusalOf } from '../../support/refusal.ts'

const identity = await openIdentity()
afterAll(() => identity.close())
const { admin } = identity

const rolesOf = async (namespace: string) =>
  (await admin.listRoles({ namespace })).bindings.map(({ principal, role }) => `${principal} ${roleName(role)}`)

const roleName = (role: Role) => Object.keys(Role).find((name) => Role[name as keyof typeof Role] === role)

test('grants a role with immediate effect, replaces it, and revokes it', async () => {
  const alice = identity.as((await identity.newToken('alice')).secret)
  expect(await refusalOf(alice.listRoles({}))).toMatchObject({ code: 'PermissionDenied' })
  const { binding } = await admin.grantRole({ principal: 'alice', role: Role.READER })
  expect(binding).toMatchObject({ principal: 'alice', namespace: 'default', role: Role.READER })
  expect(await refusalOf(alice.listRoles({}))).toMatchObject({ metadata: { permission: 'ADMINISTER' } })
  await admin.grantRole({ principal: 'alice', namespace: 'default', role: Role.ADMIN })
  expect(await rolesOf('default')).toContain('alice ADMIN')
  expect((await alice.whoAmI({})).roles).toMatchObject([{ namespace: 'default', role: Role.ADMIN }])
  await alice.listRoles({})
  await admin.revokeRole({ principal: 'alice' })
  expect(await rolesOf('default')).toEqual([])
  expect(await refusalOf(alice.listRoles({}))).toMatchObject({ code: 'PermissionDenied' })
})

test('emits events in the namespace of the role, and none where nothing changes', async () => {
  const before = (await identity.events()).length
  const wakes = identity.wakes()
  const given = { principal: 'eve', role: Role.READER, reason: 'audit week' }
  const { binding } = await admin.grantRole(given)
  expect((await admin.grantRole(given)).binding).toEqual(binding)
  await admin.grantRole({ principal: 'eve', role: Role.CONTRIBUTOR })
  await admin.revokeRole({ principal: 'eve', reason: 'week is over' })
  await admin.revokeRole({ principal: 'eve', reason: 'again' })
  await admin.grantRole({ principal: 'eve', namespace: '*', role: Role.READER })
  const events = (await identity.events()).slice(before)
  expect(events).toMatchObject([
    {
      type: 'role.granted.v1',
      reason: 'audit week',
      actor: { principal: 'admin' },
      resource: { type: 'role', namespace: 'default', name: 'eve' },
      details: { principal: 'eve', namespace: 'default', role: 'READER' },
    },
    { type: 'role.granted.v1', details: { role: 'CONTRIBUTOR', before: 'READER' } },
    { type: 'role.revoked.v1', reason: 'week is over', details: { role: 'CONTRIBUTOR' } },
    { type: 'role.granted.v1', resource: { type: 'role', name: 'eve' }, details: { namespace: '*', role: 'READER' } },
  ])
  expect(new Set(events.slice(0, 3).map(({ resource }) => resource.id)).size).toBe(1)
  expect(events[3]!.resource.namespace ?? '').toBe('')
  expect(identity.wakes()).toBeGreaterThanOrEqual(wakes + 4)
})

test('returns the first answer to a repeated request, even after the role was revoked', async () => {
  const request = { principal: 'carol', role: Role.READER, requestId: randomUUID() }
  const first = await admin.grantRole(request)
  await admin.revokeRole({ principal: 'carol' })
  expect(await admin.grantRole(request)).toEqual(first)
  expect(await rolesOf('default')).not.toContain('carol READER')
  expect(await refusalOf(admin.grantRole({ ...request, role: Role.ADMIN }))).toMatchObject({
    reason: 'REQUEST_ID_REUSED',
  })
})

test.each([
  ['principal', { principal: '' }],
  ['principal', { principal: 'Big' }],
  ['principal', { principal: '*' }],
  ['namespace', { namespace: 'Bad_Name' }],
  ['namespace', { namespace: `a${'b'.repeat(63)}` }],
  ['namespace', { namespace: '**' }],
  ['role', { role: Role.UNSPECIFIED }],
  ['role', { role: 99 }],
  ['reason', { reason: 'x'.repeat(2049) }],
  ['reason', { reason: '\0' }],
  ['request_id', { requestId: 'x' }],
])('rejects a grant with a bad %s: %o', async (field, change) => {
  const before = (await identity.events()).length
  const request = { principal: 'dave', role: Role.READER, ...change }
  expect(await refusalOf(admin.grantRole(request as never))).toMatchObject({ code: 'InvalidArgument', fields: [field] })
  expect(await identity.events()).toHaveLength(before)
})

test('requires an existing namespace for a grant, but not for revoking or listing', async () => {
  expect(
    await refusalOf(admin.grantRole({ principal: 'dave', namespace: 'nowhere', role: Role.READER })),
  ).toMatchObject({
    code: 'NotFound',
    reason: 'NAMESPACE_NOT_FOUND',
    metadata: { namespace: 'nowhere' },
  })
  await admin.revokeRole({ principal: 'dave', namespace: 'nowhere' })
  expect(await rolesOf('nowhere')).toEqual([])
})

test('limits an administrator of a namespace to that namespace', async () => {
  const frank = await identity.member('frank', 'default', Role.ADMIN)
  await frank.grantRole({ principal: 'grace', role: Role.READER })
  await frank.revokeRole({ principal: 'grace' })
  await frank.listRoles({})
  for (const namespace of ['*', 'other', 'nowhere']) {
    for (const call of [
      () => frank.grantRole({ principal: 'frank', namespace, role: Role.ADMIN }),
      () => frank.revokeRole({ principal: 'admin', namespace }),
      () => frank.listRoles({ namespace }),
    ]) {
      const permission = namespace === '*' ? 'PLATFORM' : 'ADMINISTER'
      expect(await refusalOf(call())).toMatchObject({
        reason: 'PERMISSION_DENIED',
        metadata: { permission, namespace },
      })
    }
  }
  const denials = (await identity.events()).filter(({ type }) => type === 'access.denied.v1')
  expect(denials.some(({ resource }) => resource.namespace === 'other')).toBe(true)
})

test('rejects grants by readers and contributors, even with a role on all namespaces', async () => {
  for (const role of [Role.READER, Role.CONTRIBUTOR]) {
    const member = await identity.member(`member-${role}`, '*', role)
    expect(await refusalOf(member.grantRole({ principal: `member-${role}`, role: Role.ADMIN }))).toMatchObject({
      code: 'PermissionDenied',
    })
  }
})

test('lists roles by principal, page by page', async () => {
  for (const principal of ['pat-3', 'pat-1', 'pat-2']) await admin.grantRole({ principal, role: Role.READER })
  const seen: string[] = []
  let pageToken = ''
  do {
    const page = await admin.listRoles({ pageSize: 2, pageToken })
    seen.push(...page.bindings.map(({ principal }) => principal))
    pageToken = page.nextPageToken
  } while (pageToken !== '')
  expect(seen).toEqual(seen.toSorted())
  expect(seen).toEqual(expect.arrayContaining(['pat-1', 'pat-2', 'pat-3']))
  const { nextPageToken } = await admin.listRoles({ pageSize: 1 })
  expect(await refusalOf(admin.listRoles({ namespace: '*', pageToken: nextPageToken }))).toMatchObject({
    fields: ['page_token'],
  })
})

test('stores one role when many grant it at once', async () => {
  const grants = Array.from({ length: 8 }, (_, count) =>
    admin.grantRole({ principal: 'popular', role: count % 2 === 0 ? Role.READER : Role.CONTRIBUTOR }),
  )
  await Promise.all(grants)
  expect((await rolesOf('default')).filter((text) => text.startsWith('popular '))).toHaveLength(1)
})
