import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  GrantRoleRequestSchema,
  GrantRoleResponseSchema,
  RevokeRoleRequestSchema,
  RevokeRoleResponseSchema,
  type GrantRoleRequest,
  type ListRolesRequest,
  type RevokeRoleRequest,
} from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { accessOf, ALL_NAMESPACES } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { translateFault } from '#lib/store/faults.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parsePrincipal, parseRole, parseScope } from '../../domain/identity.ts'
import { parseReason } from '../../domain/text.ts'
import type { RoleRow } from '../../store/identity/identity.ts'
import * as roles from '../../store/identity/roles.ts'
import type { IdentityDeps } from '../../deps.ts'
import { checkKeys, isTextKey } from '../page-keys.ts'
import { presentBinding } from './present-identity.ts'
import { settleChange } from '../../changes/settle-change.ts'

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

export async function listRoles({ database }: IdentityDeps, request: ListRolesRequest, context: HandlerContext) {
  const namespace = parseScope(request.namespace)
  requireScope(context, namespace)
  const page = checkKeys(parsePage(request, ['ListRoles', namespace], ['string']), [isTextKey])
  const after = page.after && String(page.after[0])
  const em = forkFor(database, context.signal)
  const question = { namespace, after, limit: page.size + 1 }
  const found = await roles.listRoles(em, question).catch(translateFault)
  const { rows, nextPageToken } = cutPage(found, page, ({ principal }) => [principal])
  return { bindings: rows.map(presentBinding), nextPageToken }
}

function requireScope(context: HandlerContext, namespace: string): void {
  const access = accessOf(context)
  if (namespace === ALL_NAMESPACES) access.requirePlatform()
  else access.require(namespace)
}

async function requireNamespace(em: EntityManager, namespace: string): Promise<void> {
  if (namespace === ALL_NAMESPACES || (await roles.holdNamespace(em, namespace))) return
  fail('NAMESPACE_NOT_FOUND', `namespace "${namespace}" not found`, { namespace })
}

function isPlatformAdmin(binding: RoleRow | undefined): boolean {
  return binding?.namespace === ALL_NAMESPACES && binding.role === 'ADMIN'
}

/** A role on `*` belongs to the installation. */
function roleResource({ id, namespace, principal }: RoleRow) {
  return { type: 'role', id, namespace: namespace === ALL_NAMESPACES ? '' : namespace, name: principal }
}

function roleDetails({ principal, namespace, role }: RoleRow) {
  return { principal, namespace, role }
}
