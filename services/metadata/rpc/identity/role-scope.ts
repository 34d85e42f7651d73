import type { HandlerContext } from '@connectrpc/connect'
import { accessOf, ALL_NAMESPACES } from '#lib/access/caller.ts'
import type { RoleBinding } from '../../store/identity/role-binding.ts'

export function requireScope(context: HandlerContext, namespace: string): void {
  const access = accessOf(context)
  if (namespace === ALL_NAMESPACES) access.requirePlatform()
  else access.require(namespace)
}

export function isPlatformAdmin(binding: RoleBinding | null): boolean {
  return binding?.namespace === ALL_NAMESPACES && binding.role === 'ADMIN'
}
