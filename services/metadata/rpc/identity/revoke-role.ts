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
import * as roles from '../../store/identity/roles.ts'
import type { IdentityDeps } from '../../deps.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { requireScope, isPlatformAdmin, roleDetails } from './role-scope.ts'
import { roleResource } from '../../changes/resources.ts'

export async function revokeRole(deps: IdentityDeps, request: RevokeRoleRequest, context: HandlerContext) {
  const namespace = parseScope(request.namespace)
  requireScope(context, namespace)
  const principal = parsePrincipal(request.principal)
  const reason = parseReason(request.reason)
  const once = { context, request, input: RevokeRoleRequestSchema, output: RevokeRoleResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    await roles.lockIdentity(em)
    const binding = await roles.findRole(em, principal, namespace)
    if (binding) {
      await roles.removeRole(em, binding.id)
      if (isPlatformAdmin(binding)) await roles.requireAdmin(em)
      const details = roleDetails(binding)
      emit(em, context, { type: 'role.revoked.v1', resource: roleResource(binding), reason, details })
    }
    return create(RevokeRoleResponseSchema)
  })
  await settleChange(deps.relay, context)
  return answer
}
