import type { ServiceImpl } from '@connectrpc/connect'
import type { AliasService } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import type { RegistryDeps } from '../../deps.ts'
import { setAliases } from './set-aliases.ts'
import { rollbackAlias } from './rollback-alias.ts'
import { listAliases } from './list-aliases.ts'
import { listAliasMoves } from './list-alias-moves.ts'

export function aliasRoutes(deps: RegistryDeps): ServiceImpl<typeof AliasService> {
  return {
    setAliases: (request, context) => setAliases(deps, request, context),
    rollbackAlias: (request, context) => rollbackAlias(deps, request, context),
    listAliases: (request, context) => listAliases(deps, request, context),
    listAliasMoves: (request, context) => listAliasMoves(deps, request, context),
  }
}
