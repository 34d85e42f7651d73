import type { HandlerContext } from '@connectrpc/connect'
import { accessOf, ALL_NAMESPACES } from '#lib/access/caller.ts'
import type { RoleRow } from '../../store/identity/identity.ts'

export function requireScope(context: HandlerContext, namespace: string): void {
  const access = accessOf(context)
  if (namespace === ALL_NAMESPACES) access.requirePlatform()
  else access.require(namespace)
}

export function isPlatformAdmin(binding: RoleRow | undefined): boolean {
  return binding?.namespace === ALL_NAMESPACES && binding.role === 'ADMIN'
}

export function roleDetails({ principal, namespace, role }: RoleRow) {
  return { principal, namespace, role }
}
