import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  CreateTokenRequestSchema,
  CreateTokenResponseSchema,
  type CreateTokenRequest,
} from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { failField } from '#lib/errors/errors.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { fromTimestamp, rfc3339 } from '#lib/store/time.ts'
import { parsePrincipal, parseTokenDescription } from '../../domain/identity.ts'
import { parseTime } from '../../domain/times.ts'
import { checkTokenExpiry } from '../../store/identity/token-expiry.ts'
import { insertToken } from '../../store/identity/token-secret.ts'
import type { IdentityDeps } from '../../deps.ts'
import { presentToken } from './present-identity.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { tokenResource } from '../../changes/resources.ts'

export async function createToken(deps: IdentityDeps, request: CreateTokenRequest, context: HandlerContext) {
  const init = {
    principal: parsePrincipal(request.principal),
    description: parseTokenDescription(request.description),
    expireTime: fromTimestamp(parseTime(request.expireTime, 'expire_time')),
  }
  let issuedSecret = ''
  const once = { context, request, input: CreateTokenRequestSchema, output: CreateTokenResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    await checkExpiry(em, init.expireTime)
    const { token, secret } = await insertToken(em, init)
    const details = { principal: token.principal, expire_time: rfc3339(token.expireTime) }
    emit(em, context, { type: 'token.created.v1', resource: tokenResource(token), details })
    issuedSecret = secret
    // The answer that is stored for repeated calls has no secret.
    return create(CreateTokenResponseSchema, { token: presentToken(token) })
  })
  await settleChange(deps.relay, context)
  return { ...answer, secret: issuedSecret }
}

async function checkExpiry(em: EntityManager, expireTime: string): Promise<void> {
  const { past, far } = await checkTokenExpiry(em, expireTime)
  if (past) failField('expire_time', 'must be later than now')
  if (far) failField('expire_time', 'must be at most a year from now')
}
