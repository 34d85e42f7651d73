import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  RevokeTokenRequestSchema,
  RevokeTokenResponseSchema,
  type RevokeTokenRequest,
} from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { fail } from '#lib/errors/errors.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { transactionTime } from '#lib/store/time.ts'
import { parseReason } from '../../domain/text.ts'
import { lockIdentity, requireRemainingAdmin } from '../../store/identity/identity-lock.ts'
import { Token } from '../../store/identity/token.ts'
import type { IdentityDeps } from '../../deps.ts'
import { presentToken } from './present-identity.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { tokenResource } from '../../changes/resources.ts'

export async function revokeToken(deps: IdentityDeps, request: RevokeTokenRequest, context: HandlerContext) {
  const id = parseUuid(request.id, 'id')
  const reason = parseReason(request.reason)
  const once = { context, request, input: RevokeTokenRequestSchema, output: RevokeTokenResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    await lockIdentity(em)
    const token = await em.findOne(Token, id)
    if (!token) fail('TOKEN_NOT_FOUND', `token "${id}" not found`, { id })
    if (token.revokeTime === null) {
      em.assign(token, { revokeTime: transactionTime() })
      await em.flush()
      await em.refresh(token)
      await requireRemainingAdmin(em)
      const details = { principal: token.principal }
      emit(em, context, { type: 'token.revoked.v1', resource: tokenResource(token), reason, details })
    }
    return create(RevokeTokenResponseSchema, { token: presentToken(token) })
  })
  await settleChange(deps.relay, context)
  return answer
}
