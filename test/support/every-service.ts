// Every RPC service in the generated contracts. They are read from the folder, so that a new one cannot be forgotten.
import type { DescMethod, DescService } from '@bufbuild/protobuf'
import { globSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ByteStream } from '../../gen/google/bytestream/bytestream_pb.ts'
import type { Permission } from '../../gen/modelkeep/common/v1/access_pb.ts'
import { permissionName } from '../../services/lib/access/caller.ts'
import { accessRuleOf } from '../../services/lib/access/method-rules.ts'

const GEN = fileURLToPath(new URL('../../gen/modelkeep/', import.meta.url))

function isService(value: unknown): value is DescService {
  return (value as { kind?: string } | null)?.kind === 'service'
}

/** The services of Modelkeep, and google.bytestream, which the same access gate protects. */
export const SERVICES: DescService[] = [ByteStream]
for (const path of globSync('**/*_service_pb.ts', { cwd: GEN }).toSorted()) {
  const module = (await import(`${GEN}${path}`)) as Record<string, unknown>
  SERVICES.push(...Object.values(module).filter(isService))
}

export const METHODS: DescMethod[] = SERVICES.flatMap((service) => service.methods)

export interface Rule {
  permission: Permission
  /** The name of the permission, for example `READ`. */
  name: string
  audited: boolean
  services: string[]
}

export function ruleOf(method: DescMethod): Rule {
  const { permission, audited, services } = accessRuleOf(method)
  return { permission, name: permissionName(permission), audited, services }
}

export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`
}
