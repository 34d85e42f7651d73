import { createClient, createRouterTransport } from '@connectrpc/connect'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { afterAll, expect, test } from 'vitest'
import { IdentityService } from '../../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { Role } from '../../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { createTokenLookup, createAuthenticate, hashToken } from '../../../services/lib/access/authenticate.ts'
import { adapterOptions, serve } from '../../../services/lib/server/serve.ts'
import { peerClient } from '../../../services/lib/server/peers.ts'
import { createAdminToken } from '../../../services/metadata/admin-token.ts'
import { ARTIFACT_TOKEN, openIdentity } from '../../support/identity.ts'
import { refusalOf } from '../../support/refusal.ts'

const identity = await openIdentity()
afterAll(() => identity.close())
const { admin } = identity
const artifact = identity.as(ARTIFACT_TOKEN)

const authenticate = (secret: string) => artifact.authenticateToken({ tokenSha256: new Uint8Array(hashToken(secret)) })

test('returns the principal and the roles of a token to a peer service', async () => {
  const { id, secret } = await identity.newToken('alice')
  await admin.grantRole({ principal: 'alice', role: Role.CONTRIBUTOR })
  await admin.grantRole({ principal: 'alice', namespace: '*', role: Role.READER })
  const { token, roles } = await authenticate(secret)
  expect(token).toMatchObject({ id, principal: 'alice' })
  expect(roles).toEqual(
    (await admin.listRoles({ namespace: '*' })).bindings
      .filter(isAlice)
      .concat((await admin.listRoles({})).bindings.filter(isAlice)),
  )
})

const isAlice = ({ principal }: { principal: string }) => principal === 'alice'

test('rejects unknown, revoked and expired tokens, and distinguishes only expired ones', async () => {
  const revoked = await identity.newToken('revoked')
  await admin.revokeToken({ id: revoked.id })
  const expired = await identity.newToken('expired')
  await identity.expire('expired')
  const unknown = await refusalOf(authenticate('mk_unknown'))
  expect(unknown).toMatchObject({ code: 'NotFound', reason: 'TOKEN_NOT_FOUND', metadata: {} })
  expect(await refusalOf(authenticate(revoked.secret))).toEqual(unknown)
  expect(await refusalOf(authenticate(expired.secret))).toMatchObject({
    code: 'NotFound',
    reason: 'TOKEN_NOT_FOUND',
    metadata: { expire_time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/) as string },
  })
  await identity.newToken('both')
  const both = await identity.newToken('both')
  await admin.revokeToken({ id: both.id })
  await identity.expire('both')
  expect(await refusalOf(authenticate(both.secret))).toEqual(unknown)
})

test('emits an event for a revoked or expired token, and none for an unknown one', async () => {
  const { secret, id } = await identity.newToken('shown')
  await identity.expire('shown')
  const before = (await identity.events()).length
  const newEvents = async () => (await identity.events()).slice(before)
  await refusalOf(authenticate(secret))
  await refusalOf(identity.as(secret).whoAmI({}))
  await refusalOf(authenticate('mk_unknown'))
  await refusalOf(identity.as('mk_unknown').whoAmI({}))
  const event = {
    type: 'authentication.failed.v1',
    outcome: 'OUTCOME_DENIED',
    actor: { principal: 'shown', method: 'token', credentialId: id },
    resource: { type: 'rpc', name: 'modelkeep.metadata.v1.IdentityService/AuthenticateToken' },
    details: { reason: 'TOKEN_EXPIRED' },
  }
  expect(await newEvents()).toMatchObject([event, event])
  await admin.revokeToken({ id })
  await refusalOf(authenticate(secret))
  await refusalOf(identity.as(secret).whoAmI({}))
  const revoked = { ...event, details: { reason: 'TOKEN_REVOKED' } }
  expect(await newEvents()).toMatchObject([event, event, { type: 'token.revoked.v1' }, revoked, revoked])
})

test('rejects a hash of a wrong length', async () => {
  for (const length of [0, 31, 33]) {
    const refused = refusalOf(artifact.authenticateToken({ tokenSha256: new Uint8Array(length) }))
    expect(await refused).toMatchObject({ fields: ['token_sha256'] })
  }
})

test('rejects AuthenticateToken by an administrator, and guessed tokens of services', async () => {
  expect(await refusalOf(admin.authenticateToken({ tokenSha256: new Uint8Array(32) }))).toMatchObject({
    code: 'PermissionDenied',
    metadata: { permission: 'SERVICE' },
  })
  for (const token of ['mks_guess', `${ARTIFACT_TOKEN}x`, 'mks_']) {
    expect(await refusalOf(identity.as(token).whoAmI({}))).toMatchObject({ reason: 'TOKEN_INVALID' })
  }
})

test('returns no token and no roles to a peer service about itself', async () => {
  const who = await artifact.whoAmI({})
  expect(who).toMatchObject({ principal: 'service:artifact', roles: [] })
  expect(who.token).toBeUndefined()
  expect(await refusalOf(artifact.listTokens({}))).toMatchObject({ code: 'PermissionDenied' })
})

test('rejects an expired token with its expiry time', async () => {
  const { secret } = await identity.newToken('short')
  await identity.expire('short')
  expect(await refusalOf(identity.as(secret).whoAmI({}))).toMatchObject({
    code: 'Unauthenticated',
    reason: 'TOKEN_EXPIRED',
    metadata: { expire_time: expect.stringMatching(/Z$/) as string },
  })
})

test('rejects a token two seconds after its creation when it expires then', async () => {
  const { secret } = await admin.createToken({ principal: 'brief', expireTime: timestampFromMs(Date.now() + 2000) })
  await expect
    .poll(() => refusalOf(identity.as(secret).whoAmI({})).catch(() => undefined))
    .toMatchObject({ reason: 'TOKEN_EXPIRED' })
})

test('rejects the same tokens at a peer service, with the same errors', async () => {
  const served = await serve(identity.serving, { host: '127.0.0.1', port: 0 })
  try {
    const address = `http://127.0.0.1:${served.port}`
    const client = peerClient(IdentityService, { name: 'metadata', address, token: ARTIFACT_TOKEN })
    const peer = { ...identity.serving, authenticate: createAuthenticate(new Map(), createTokenLookup(client)) }
    const { options } = adapterOptions(peer)
    const as = (token: string) => {
      const authorize = (next: never) => (request: { header: Headers }) => {
        request.header.set('authorization', `Bearer ${token}`)
        return (next as (request: unknown) => unknown)(request)
      }
      const transport = { interceptors: [authorize as never] }
      return createClient(IdentityService, createRouterTransport(options.routes, { router: options, transport }))
    }
    const alive = await identity.newToken('alive')
    expect((await as(alive.secret).whoAmI({})).principal).toBe('alive')
    const over = await identity.newToken('over')
    await identity.expire('over')
    expect(await refusalOf(as(over.secret).whoAmI({}))).toMatchObject({
      code: 'Unauthenticated',
      reason: 'TOKEN_EXPIRED',
      metadata: { expire_time: expect.stringMatching(/Z$/) as string },
    })
    expect(await refusalOf(as('mk_unknown').whoAmI({}))).toMatchObject({
      code: 'Unauthenticated',
      reason: 'TOKEN_INVALID',
    })
    await admin.revokeToken({ id: alive.id })
    await expect
      .poll(() => refusalOf(as(alive.secret).whoAmI({})).catch(() => undefined), { timeout: 10_000, interval: 250 })
      .toMatchObject({ reason: 'TOKEN_INVALID' })
  } finally {
    await served.close(1000)
  }
})

test('creates the first administrator at the server, with events, and a second token without a second role', async () => {
  const before = (await identity.events()).length
  const secret = await createAdminToken(identity.database, { principal: 'root', days: 2 })
  const who = await identity.as(secret).whoAmI({})
  expect(who).toMatchObject({ principal: 'root', roles: [{ namespace: '*', role: Role.ADMIN }] })
  await createAdminToken(identity.database, { principal: 'root' })
  const events = (await identity.events()).slice(before)
  expect(events.map(({ type }) => type)).toEqual(['role.granted.v1', 'token.created.v1', 'token.created.v1'])
  expect(events[0]).toMatchObject({ actor: { principal: 'service:metadata', method: 'service' } })
  await expect(createAdminToken(identity.database, { principal: 'No Body' })).rejects.toThrow('principal')
})
