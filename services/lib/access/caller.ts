// Who calls, and what the caller may do.
import { create } from '@bufbuild/protobuf'
import { createContextKey, type HandlerContext } from '@connectrpc/connect'
import { ActorSchema, type Actor } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { fail } from '../errors/errors.ts'
import { wordOf } from '../values/words.ts'

export const DEFAULT_NAMESPACE = 'default'
/** Stands for all namespaces in a role. */
export const ALL_NAMESPACES = '*'

export interface Caller {
  /** For example `alice`; a sister service is `service:metadata`; empty when unknown. */
  principal: string
  method: 'token' | 'service' | 'none'
  /** The token's UUID; or empty. */
  credentialId: string
  /** The sister service's name; or empty. */
  service: string
  /** Role by namespace or `*`. */
  roles: ReadonlyMap<string, Role>
}

export const NOBODY: Caller = { principal: '', method: 'none', credentialId: '', service: '', roles: new Map() }

const PERMISSIONS: Record<Role, Permission[]> = {
  [Role.UNSPECIFIED]: [],
  [Role.READER]: [Permission.READ],
  [Role.CONTRIBUTOR]: [Permission.READ, Permission.WRITE],
  [Role.APPROVER]: [Permission.READ, Permission.WRITE, Permission.APPROVE],
  [Role.ADMIN]: [Permission.READ, Permission.WRITE, Permission.APPROVE, Permission.ADMINISTER],
}

/** What one call may touch. Handlers ask it; the permission itself is declared in the proto. */
export class Access {
  readonly caller: Caller
  readonly permission: Permission
  /** True once the handler has asked. An answer without it does not leave the service. */
  asked = false
  /** The namespace of the last question, for the event of a denial. */
  namespace = ''

  constructor(caller: Caller, permission: Permission) {
    this.caller = caller
    this.permission = permission
  }

  /** Throws PERMISSION_DENIED unless the caller holds the RPC's permission on `namespace`. A caller who
   * may not even read there gets `orElse` instead, where existence itself is not theirs to know. */
  require(namespace: string, orElse?: () => never): void {
    this.asked = true
    this.namespace = namespace
    if (holds(this.caller, this.permission, namespace)) return
    if (orElse && !holds(this.caller, Permission.READ, namespace)) orElse()
    failPermission(this.permission, namespace)
  }

  /** Throws PERMISSION_DENIED unless the caller administers the installation. */
  requirePlatform(): void {
    this.asked = true
    if (isPlatformAdmin(this.caller)) return
    failPermission(Permission.PLATFORM, ALL_NAMESPACES)
  }

  /** The namespaces on which the caller holds the RPC's permission, for filtering in SQL. */
  namespaces(): 'all' | string[] {
    this.asked = true
    if (holds(this.caller, this.permission, ALL_NAMESPACES)) return 'all'
    return [...this.caller.roles.keys()].filter((namespace) => holds(this.caller, this.permission, namespace))
  }

  actor(): Actor {
    const { principal, method, credentialId } = this.caller
    return create(ActorSchema, { principal, method, credentialId })
  }
}

export const accessKey = createContextKey<Access>(new Access(NOBODY, Permission.UNSPECIFIED))
/** Asks again whom the call's token stands for, and throws where it stands for nobody who may make this call: for
 * streams that outlive a token. */
export const renewAccessKey = createContextKey<() => Promise<Access>>(() => Promise.reject(new Error('no gate')))
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
  const asked = permission === Permission.PLATFORM ? Permission.ADMINISTER : permission
  const role = [Role.READER, Role.CONTRIBUTOR, Role.APPROVER, Role.ADMIN].find((role) =>
    PERMISSIONS[role].includes(asked),
  )
  return role === undefined ? '' : `; the role ${wordOf(Role, role).toLowerCase()} grants it`
}

export function permissionName(permission: Permission): string {
  return wordOf(Permission, permission)
}
