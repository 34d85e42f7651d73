import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  CreateTokenRequestSchema,
  CreateTokenResponseSchema,
  RevokeTokenRequestSchema,
  RevokeTokenResponseSchema,
  type CreateTokenRequest,
  type ListTokensRequest,
  type RevokeTokenRequest,
} from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { fail, failField } from '#lib/errors/errors.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { translateFault } from '#lib/store/faults.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { fromTimestamp, rfc3339 } from '#lib/store/time.ts'
import { parsePrincipal, parseTime, parseTokenDescription } from '../../domain/identity.ts'
import { parseReason } from '../../domain/text.ts'
import { lockIdentity, requireAdmin } from '../../store/identity/roles.ts'
import * as tokens from '../../store/identity/tokens.ts'
import type { IdentityDeps } from '../../deps.ts'
import { checkKeys, isIdKey } from '../page-keys.ts'
import { presentToken } from './present-identity.ts'
import { settleChange } from '../../changes/settle-change.ts'

export async function createToken(deps: IdentityDeps, request: CreateTokenRequest, context: HandlerContext) {
  const init = {
    principal: parsePrincipal(request.principal),
    description: parseTokenDescription(request.description),
    expireTime: fromTimestamp(parseTime(request.expireTime, 'expire_time')),
  }
  let shownOnce = ''
  const once = { context, request, input: CreateTokenRequestSchema, output: CreateTokenResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    await checkExpiry(em, init.expireTime)
    const { token, secret } = await tokens.insertToken(em, init)
    const details = { principal: token.principal, expire_time: rfc3339(token.expire_time) }
    emit(em, context, { type: 'token.created.v1', resource: tokenResource(token), details })
    shownOnce = secret
    // What is kept for a repeated call has no secret.
    return create(CreateTokenResponseSchema, { token: presentToken(token) })
  })
  await settleChange(deps.relay, context)
  return { ...answer, secret: shownOnce }
}

async function checkExpiry(em: EntityManager, expireTime: string): Promise<void> {
  const { past, far } = await tokens.judgeExpiry(em, expireTime)
  if (past) failField('expire_time', 'must be later than now')
  if (far) failField('expire_time', 'must be at most a year from now')
}

export async function listTokens({ database }: IdentityDeps, request: ListTokensRequest, context: HandlerContext) {
  const principal = request.principal === '' ? '' : parsePrincipal(request.principal)
  const page = checkKeys(parsePage(request, ['ListTokens', principal], ['string']), [isIdKey])
  const before = page.after && String(page.after[0])
  const em = forkFor(database, context.signal)
  const question = { principal, before, limit: page.size + 1 }
  const { rows, nextPageToken } = cutPage(
    await tokens.listTokens(em, question).catch(translateFault),
    page,
    ({ id }) => [id],
  )
  return { tokens: rows.map(presentToken), nextPageToken }
}

export async function revokeToken(deps: IdentityDeps, request: RevokeTokenRequest, context: HandlerContext) {
  const id = parseUuid(request.id, 'id')
  const reason = parseReason(request.reason)
  const once = { context, request, input: RevokeTokenRequestSchema, output: RevokeTokenResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    await lockIdentity(em)
    const token = await tokens.findTokenById(em, id)
    if (!token) fail('TOKEN_NOT_FOUND', `token "${id}" not found`, { id })
    const revoked = await tokens.revokeTokenById(em, id)
    if (revoked) {
      await requireAdmin(em)
      const details = { principal: token.principal }
      emit(em, context, { type: 'token.revoked.v1', resource: tokenResource(token), reason, details })
    }
    return create(RevokeTokenResponseSchema, { token: presentToken(revoked ?? token) })
  })
  await settleChange(deps.relay, context)
  return answer
}

/** Tokens belong to the installation. */
function tokenResource({ id, principal }: { id: string; principal: string }) {
  return { type: 'token', id, namespace: '', name: principal }
}
