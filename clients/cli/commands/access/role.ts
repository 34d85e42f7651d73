// The commands role grant, revoke and list.
import { randomUUID } from 'node:crypto'
import { Role, RoleBindingSchema, RoleSchema } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { failUsage } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { jsonOf, table, time, word } from '../../terminal/output.ts'
import { takePages } from '../../terminal/pages.ts'
import { requireNamespace, unary } from '../../connection/registry.ts'

const ROLES: Record<string, Role> = {
  reader: Role.READER,
  contributor: Role.CONTRIBUTOR,
  approver: Role.APPROVER,
  admin: Role.ADMIN,
}

interface ReasonOption {
  reason?: string
}

export async function grantRole(
  context: Context,
  principal: string,
  name: string,
  { reason = '' }: ReasonOption,
): Promise<void> {
  const role = Object.hasOwn(ROLES, name) ? ROLES[name] : undefined
  if (role === undefined) failUsage(`role "${name}" is unknown; use ${Object.keys(ROLES).join(', ')}`)
  const registry = context.registry()
  const request = { principal, namespace: context.namespace, role, reason, requestId: randomUUID() }
  const { binding } = await registry.metadata(IdentityService).grantRole(request, unary(registry))
  if (context.output.json) return context.output.document(jsonOf(RoleBindingSchema, binding!))
  context.output.write(`${principal} is ${name} on ${binding!.namespace}`)
}

export async function revokeRole(context: Context, principal: string, { reason = '' }: ReasonOption): Promise<void> {
  const { namespace, output } = context
  const registry = context.registry()
  const request = { principal, namespace, reason, requestId: randomUUID() }
  await registry.metadata(IdentityService).revokeRole(request, unary(registry))
  if (output.json) return output.document({ principal, namespace, role: null })
  output.write(`${principal} no longer has a role on ${namespace}`)
}

export async function listRoles(context: Context): Promise<void> {
  const { namespace, output } = context
  const registry = context.registry()
  const { items } = await takePages(Infinity, async (page) => {
    const answer = await registry.metadata(IdentityService).listRoles({ namespace, ...page }, unary(registry))
    return { items: answer.bindings, nextPageToken: answer.nextPageToken }
  })
  if (items.length === 0 && namespace !== '*') await requireNamespace(registry, namespace)
  if (output.json) return output.document({ roles: items.map((binding) => jsonOf(RoleBindingSchema, binding)) })
  const rows = items.map((binding) => [
    binding.principal,
    word(RoleSchema, binding.role),
    binding.namespace,
    time(binding.createTime),
  ])
  output.write(table(['PRINCIPAL', 'ROLE', 'NAMESPACE', 'SINCE'], rows))
}
