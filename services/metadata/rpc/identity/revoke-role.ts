import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  RevokeRoleRequestSchema,
  RevokeRoleResponseSchema,
  type RevokeRoleRequest,
} from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parsePrincipal, parseScope } from '../../domain/identity.ts'
import { parseReason } from '../../domain/text.ts'
import { lockIdentity, requireRemainingAdmin } from '../../store/identity/identity-lock.ts'
import { RoleBinding } from '../../store/identity/role-binding.ts'
import type { IdentityDeps } from '../../deps.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { requireScope, isPlatformAdmin } from './role-scope.ts'
import { roleResource } from '../../changes/resources.ts'
import { roleDetails } from '../../changes/role-change.ts'

export async function revokeRole(deps: IdentityDeps, request: RevokeRoleRequest, context: HandlerContext) {
  const namespace = parseScope(request.namespace)
  requireScope(context, namespace)
  const principal = parsePrincipal(request.principal)
  const reason = parseReason(request.reason)
  const once = { context, request, input: RevokeRoleRequestSchema, output: RevokeRoleResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    await lockIdentity(em)
    const binding = await em.findOne(RoleBinding, { principal, namespace })
    if (binding) {
      em.remove(binding)
      await em.flush()
      if (isPlatformAdmin(binding)) await requireRemainingAdmin(em)
      const details = roleDetails(binding)
      emit(em, context, { type: 'role.revoked.v1', resource: roleResource(binding), reason, details })
    }
    return create(RevokeRoleResponseSchema)
  })
  await settleChange(deps.relay, context)
  return answer
}
