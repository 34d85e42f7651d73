// The caller of an RPC, and what it may do.
import { create } from '@bufbuild/protobuf'
import { createContextKey, type HandlerContext } from '@connectrpc/connect'
import { ActorSchema, type Actor } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { fail } from '../errors/errors.ts'
import { wordOf } from '../values/words.ts'

export const DEFAULT_NAMESPACE = 'default'
/** The namespace of a role that applies to all namespaces. */
export const ALL_NAMESPACES = '*'

export interface Caller {
  /** The name of the principal, for example `alice`, or `service:metadata` for a peer service; empty when unknown. */
  principal: string
  method: 'token' | 'service' | 'none'
  /** UUID of the API token; empty without one. */
  credentialId: string
  /** Name of the peer service; empty for other callers. */
  service: string
  /** Roles by namespace or `*`. */
  roles: ReadonlyMap<string, Role>
}

export const ANONYMOUS: Caller = { principal: '', method: 'none', credentialId: '', service: '', roles: new Map() }

const PERMISSIONS: Record<Role, Permission[]> = {
  [Role.UNSPECIFIED]: [],
  [Role.READER]: [Permission.READ],
  [Role.CONTRIBUTOR]: [Permission.READ, Permission.WRITE],
  [Role.APPROVER]: [Permission.READ, Permission.WRITE, Permission.APPROVE],
  [Role.ADMIN]: [Permission.READ, Permission.WRITE, Permission.APPROVE, Permission.ADMINISTER],
}

/** Access check of one call. The proto declares the permission; the handler checks it on a namespace. */
export class Access {
  readonly caller: Caller
  readonly permission: Permission
  /** True once the handler has checked access. Otherwise the response is withheld. */
  isChecked = false
  /** The namespace that was checked last, for the event of a denial. */
  namespace = ''

  constructor(caller: Caller, permission: Permission) {
    this.caller = caller
    this.permission = permission
  }

  /** Throws PERMISSION_DENIED unless the caller holds the RPC's permission on `namespace`. `failHidden` is called instead
   * for a caller who may not read there, and so must not learn that the resource exists. */
  require(namespace: string, failHidden?: () => never): void {
    this.isChecked = true
    this.namespace = namespace
    if (holds(this.caller, this.permission, namespace)) return
    if (failHidden && !holds(this.caller, Permission.READ, namespace)) failHidden()
    failPermission(this.permission, namespace)
  }

  /** Throws PERMISSION_DENIED unless the caller is an admin of all namespaces. */
  requirePlatform(): void {
    this.isChecked = true
    if (isPlatformAdmin(this.caller)) return
    failPermission(Permission.PLATFORM, ALL_NAMESPACES)
  }

  /** Returns the namespaces on which the caller holds the RPC's permission, for filters in SQL. */
  namespaces(): 'all' | string[] {
    this.isChecked = true
    if (holds(this.caller, this.permission, ALL_NAMESPACES)) return 'all'
    return [...this.caller.roles.keys()].filter((namespace) => holds(this.caller, this.permission, namespace))
  }

  actor(): Actor {
    const { principal, method, credentialId } = this.caller
    return create(ActorSchema, { principal, method, credentialId })
  }
}

export const accessKey = createContextKey<Access>(new Access(ANONYMOUS, Permission.UNSPECIFIED))
/** Authenticates the call again and throws if the caller may no longer make it. Long streams call it, because they can
 * outlive a token. */
export const renewAccessKey = createContextKey<() => Promise<Access>>(() =>
  Promise.reject(new Error('the call did not pass the access check')),
)
export const requestIdKey = createContextKey<string>('')
export const traceIdKey = createContextKey<string>('')

export function accessOf(context: HandlerContext): Access {
  return context.values.get(accessKey)
}

export function isPlatformAdmin(caller: Caller): boolean {
  return caller.roles.get(ALL_NAMESPACES) === Role.ADMIN
}

export function holds(caller: Caller, permission: Permission, namespace: string): boolean {
  return [caller.roles.get(ALL_NAMESPACES), caller.roles.get(namespace)].some(
    (role) => role !== undefined && PERMISSIONS[role]?.includes(permission),
  )
}

export function holdsAnywhere(caller: Caller, permission: Permission): boolean {
  return [...caller.roles.values()].some((role) => PERMISSIONS[role]?.includes(permission))
}

export function failPermission(permission: Permission, namespace: string): never {
  const name = permissionName(permission)
  const message = `denied: permission ${name} on namespace "${namespace}" is missing${roleHint(permission)}`
  fail('PERMISSION_DENIED', message, { permission: name, namespace })
}

/** Names the least role that grants the permission, as the end of an error message; empty where no role does. */
export function roleHint(permission: Permission): string {
  const needed = permission === Permission.PLATFORM ? Permission.ADMINISTER : permission
  const role = [Role.READER, Role.CONTRIBUTOR, Role.APPROVER, Role.ADMIN].find((candidate) =>
    PERMISSIONS[candidate].includes(needed),
  )
  return role === undefined ? '' : `; the role ${wordOf(Role, role).toLowerCase()} grants it`
}

export function permissionName(permission: Permission): string {
  return wordOf(Permission, permission)
}
