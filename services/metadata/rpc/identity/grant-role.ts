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
import { lockIdentity, requireRemainingAdmin } from '../../store/identity/identity-lock.ts'
import { RoleBinding } from '../../store/identity/role-binding.ts'
import { lockNamespaceShared } from '../../store/models/namespace.ts'
import type { IdentityDeps } from '../../deps.ts'
import { presentBinding } from './present-identity.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { isPlatformAdmin, requireScope } from './role-scope.ts'
import { failNoNamespace } from '../../changes/checks.ts'
import { roleResource } from '../../changes/resources.ts'
import { upsertRole, roleDetails } from '../../changes/role-change.ts'

export async function grantRole(deps: IdentityDeps, request: GrantRoleRequest, context: HandlerContext) {
  const namespace = parseScope(request.namespace)
  requireScope(context, namespace)
  const principal = parsePrincipal(request.principal)
  const role = parseRole(request.role)
  const reason = parseReason(request.reason)
  const once = { context, request, input: GrantRoleRequestSchema, output: GrantRoleResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    await lockIdentity(em)
    await requireNamespace(em, namespace)
    const before = await em.findOne(RoleBinding, { principal, namespace })
    if (before?.role === role) return create(GrantRoleResponseSchema, { binding: presentBinding(before) })
    const former = before?.role
    const wasPlatformAdmin = isPlatformAdmin(before)
    const binding = await upsertRole(em, before, { principal, namespace, role })
    if (wasPlatformAdmin) await requireRemainingAdmin(em)
    const details = { ...roleDetails(binding), ...(former && { before: former }) }
    emit(em, context, { type: 'role.granted.v1', resource: roleResource(binding), reason, details })
    return create(GrantRoleResponseSchema, { binding: presentBinding(binding) })
  })
  await settleChange(deps.relay, context)
  return answer
}

async function requireNamespace(em: EntityManager, namespace: string): Promise<void> {
  if (namespace === ALL_NAMESPACES || (await lockNamespaceShared(em, namespace))) return
  failNoNamespace(namespace)
}
