import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  GrantRoleRequestSchema,
  GrantRoleResponseSchema,
  type GrantRoleRequest,
} from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ALL_NAMESPACES } from '#lib/access/caller.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parsePrincipal, parseRole, parseScope } from '../../domain/identity.ts'
import { parseReason } from '../../domain/text.ts'
import * as roles from '../../store/identity/roles.ts'
import type { IdentityDeps } from '../../deps.ts'
import { presentBinding } from './present-identity.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { isPlatformAdmin, requireScope, roleDetails } from './role-scope.ts'
import { failNoNamespace } from '../../changes/checks.ts'
import { roleResource } from '../../changes/resources.ts'

export async function grantRole(deps: IdentityDeps, request: GrantRoleRequest, context: HandlerContext) {
  const namespace = parseScope(request.namespace)
  requireScope(context, namespace)
  const principal = parsePrincipal(request.principal)
  const role = parseRole(request.role)
  const reason = parseReason(request.reason)
  const once = { context, request, input: GrantRoleRequestSchema, output: GrantRoleResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    await roles.lockIdentity(em)
    await requireNamespace(em, namespace)
    const before = await roles.findRole(em, principal, namespace)
    if (before?.role === role) return create(GrantRoleResponseSchema, { binding: presentBinding(before) })
    const binding = await roles.putRole(em, principal, namespace, role)
    if (isPlatformAdmin(before)) await roles.requireAdmin(em)
    const details = { ...roleDetails(binding), ...(before ? { before: before.role } : {}) }
    emit(em, context, { type: 'role.granted.v1', resource: roleResource(binding), reason, details })
    return create(GrantRoleResponseSchema, { binding: presentBinding(binding) })
  })
  await settleChange(deps.relay, context)
  return answer
}

async function requireNamespace(em: EntityManager, namespace: string): Promise<void> {
  if (namespace === ALL_NAMESPACES || (await roles.holdNamespace(em, namespace))) return
  failNoNamespace(namespace)
}
