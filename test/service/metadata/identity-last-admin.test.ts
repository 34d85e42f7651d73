import { afterAll, beforeAll, expect, test } from 'vitest'
import { Role } from '../../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { createAdminToken } from '../../../services/metadata/admin-token.ts'
import { openIdentity, type Identity } from '../../support/identity.ts'
import { refusalOf } from '../../support/refusal.ts'

let identity: Identity
beforeAll(async () => {
  identity = await openIdentity()
})
afterAll(() => identity.close())

const LAST_ADMIN = { code: 'FailedPrecondition', reason: 'LAST_ADMIN' }

test('rejects the removal of token and role of the last administrator', async () => {
  const { admin } = identity
  const { token } = await admin.whoAmI({})
  const before = (await identity.events()).length
  for (const call of [
    () => admin.revokeToken({ id: token!.id }),
    () => admin.revokeRole({ principal: 'admin', namespace: '*' }),
    () => admin.grantRole({ principal: 'admin', namespace: '*', role: Role.CONTRIBUTOR }),
  ]) {
    expect(await refusalOf(call())).toMatchObject(LAST_ADMIN)
  }
  expect(await identity.events()).toHaveLength(before)
  expect((await admin.whoAmI({})).roles).toMatchObject([{ namespace: '*', role: Role.ADMIN }])
})

test('does not count an administrator without a valid token', async () => {
  const { admin } = identity
  const own = (await admin.whoAmI({})).token!.id
  await admin.grantRole({ principal: 'no-token', namespace: '*', role: Role.ADMIN })
  await admin.grantRole({ principal: 'expired', namespace: '*', role: Role.ADMIN })
  await identity.newToken('expired')
  await identity.expire('expired')
  await admin.grantRole({ principal: 'revoked', namespace: '*', role: Role.ADMIN })
  await admin.revokeToken({ id: (await identity.newToken('revoked')).id })
  await admin.grantRole({ principal: 'only-here', namespace: 'default', role: Role.ADMIN })
  await identity.newToken('only-here')
  expect(await refusalOf(admin.revokeToken({ id: own }))).toMatchObject(LAST_ADMIN)
})

test('revokes the first token of the last administrator when there is a second', async () => {
  const second = await identity.newToken('admin')
  const own = (await identity.admin.whoAmI({})).token!.id
  await identity.admin.revokeToken({ id: own })
  expect(await refusalOf(identity.admin.whoAmI({}))).toMatchObject({ reason: 'TOKEN_INVALID' })
  const admin = identity.as(second.secret)
  expect(await refusalOf(admin.revokeToken({ id: second.id }))).toMatchObject(LAST_ADMIN)
})

test.each([1, 2, 3, 4, 5])(
  'rejects one of two administrators who remove each other at the same time (%i)',
  async (round) => {
    const names = [`left-${round}`, `right-${round}`]
    const rescue = identity.as(await createAdminToken(identity.database, { principal: 'rescue' }))
    const [left, right] = await Promise.all(
      names.map(async (principal) => {
        const secret = await createAdminToken(identity.database, { principal })
        const client = identity.as(secret)
        return { client, id: (await client.whoAmI({})).token!.id }
      }),
    )
    // Leaves these two as the only administrators.
    for (const { principal } of (await rescue.listRoles({ namespace: '*' })).bindings) {
      if (!names.includes(principal) && principal !== 'rescue') await rescue.revokeRole({ principal, namespace: '*' })
    }
    await left!.client.revokeRole({ principal: 'rescue', namespace: '*' })
    const outcomes = await Promise.allSettled([
      left!.client.revokeToken({ id: right!.id }),
      right!.client.revokeRole({ principal: names[0]!, namespace: '*' }),
      left!.client.grantRole({ principal: names[1]!, namespace: '*', role: Role.READER }),
      right!.client.revokeToken({ id: left!.id }),
    ])
    expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true)
    const standing = await Promise.allSettled([left!, right!].map(({ client }) => client.listTokens({})))
    expect(standing.some(({ status }) => status === 'fulfilled')).toBe(true)
  },
)
