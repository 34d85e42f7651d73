import { create } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { Client } from '@connectrpc/connect'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import {
  AuthenticateTokenResponseSchema,
  type IdentityService,
} from '../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { Role } from '../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { createTokenLookup, createAuthenticate, hashToken } from '../../services/lib/access/authenticate.ts'
import { fail, ModelkeepError } from '../../services/lib/errors/errors.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const NOW = Date.UTC(2026, 10, 23)
const signal = new AbortController().signal

/** A metadata service with tokens by name and their expiry, which records the lookups. */
function metadataService(known: Record<string, number>) {
  vi.setSystemTime(NOW)
  const asked: string[] = []
  const state = { known, asked, down: false }
  const identity = {
    async authenticateToken({ tokenSha256 }: { tokenSha256: Uint8Array }) {
      const token = Object.keys(state.known).find((name) => hashToken(name).equals(tokenSha256))
      asked.push(token ?? '?')
      if (state.down) throw new ModelkeepError('DEPENDENCY_UNAVAILABLE', 'down', { dependency: 'metadata' })
      if (token === undefined) fail('TOKEN_NOT_FOUND', 'unknown')
      const end = state.known[token]!
      if (end <= Date.now()) fail('TOKEN_NOT_FOUND', 'over', { expire_time: new Date(end).toISOString() })
      return create(AuthenticateTokenResponseSchema, {
        token: { id: `id-${token}`, principal: token.slice(3), expireTime: timestampFromMs(end) },
        roles: [{ principal: token.slice(3), namespace: 'default', role: Role.READER }],
      })
    },
  } as unknown as Client<typeof IdentityService>
  return { state, lookUp: createTokenLookup(identity) }
}

const HOUR = 3_600_000

test('caches a valid token for a second, then looks it up again', async () => {
  const { state, lookUp } = metadataService({ mk_alice: NOW + HOUR })
  const ask = () => lookUp(hashToken('mk_alice'), signal)
  expect(await ask()).toMatchObject({ principal: 'alice', method: 'token', credentialId: 'id-mk_alice', service: '' })
  expect((await ask()).roles).toEqual(new Map([['default', Role.READER]]))
  vi.advanceTimersByTime(999)
  await ask()
  expect(state.asked).toHaveLength(1)
  vi.advanceTimersByTime(1)
  await ask()
  expect(state.asked).toHaveLength(2)
})

test('rejects a revoked token within a second, and an expired one at once', async () => {
  const { state, lookUp } = metadataService({ mk_alice: NOW + HOUR, mk_brief: NOW + 500 })
  await lookUp(hashToken('mk_alice'), signal)
  await lookUp(hashToken('mk_brief'), signal)
  delete state.known['mk_alice']
  vi.advanceTimersByTime(500)
  await expect(lookUp(hashToken('mk_brief'), signal)).rejects.toMatchObject({
    reason: 'TOKEN_EXPIRED',
    metadata: { expire_time: '2026-11-23T00:00:00.500Z' },
  })
  await lookUp(hashToken('mk_alice'), signal)
  vi.advanceTimersByTime(500)
  await expect(lookUp(hashToken('mk_alice'), signal)).rejects.toMatchObject({ reason: 'TOKEN_INVALID' })
})

test('does not cache rejections: a token works as soon as it exists', async () => {
  const { state, lookUp } = metadataService({})
  await expect(lookUp(hashToken('mk_new'), signal)).rejects.toMatchObject({ reason: 'TOKEN_INVALID' })
  state.known['mk_new'] = NOW + HOUR
  expect((await lookUp(hashToken('mk_new'), signal)).principal).toBe('new')
})

test('while the metadata service is down, accepts cached tokens and fails others with DEPENDENCY_UNAVAILABLE', async () => {
  const { state, lookUp } = metadataService({ mk_alice: NOW + HOUR })
  await lookUp(hashToken('mk_alice'), signal)
  state.down = true
  await lookUp(hashToken('mk_alice'), signal)
  await expect(lookUp(hashToken('mk_bob'), signal)).rejects.toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE' })
  vi.advanceTimersByTime(1_000)
  await expect(lookUp(hashToken('mk_alice'), signal)).rejects.toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE' })
})

test('accepts the token of a peer service without a lookup, and rejects every other mks_ token', async () => {
  const asked: string[] = []
  const trusted = new Map([[hashToken('mks_audit-token').toString('hex'), 'audit']])
  const authenticate = createAuthenticate(trusted, async (hash) => {
    asked.push(hash.toString('hex'))
    return fail('TOKEN_INVALID', 'unknown')
  })
  expect(await authenticate('mks_audit-token', signal)).toEqual({
    principal: 'service:audit',
    method: 'service',
    credentialId: '',
    service: 'audit',
    roles: new Map(),
  })
  for (const token of ['mks_', 'mks_audit-tokem', 'mks_audit-token ']) {
    await expect(authenticate(token, signal)).rejects.toMatchObject({ reason: 'TOKEN_INVALID' })
  }
  expect(asked).toEqual([])
  await expect(authenticate('mk_x', signal)).rejects.toMatchObject({ reason: 'TOKEN_INVALID' })
  expect(asked).toEqual([hashToken('mk_x').toString('hex')])
})
