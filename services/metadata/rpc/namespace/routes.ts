import type { ServiceImpl } from '@connectrpc/connect'
import type { NamespaceService } from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import type { RegistryDeps } from '../../deps.ts'
import { createNamespace } from './create-namespace.ts'
import { getNamespace } from './get-namespace.ts'
import { listNamespaces } from './list-namespaces.ts'
import { updateNamespace } from './update-namespace.ts'
import { deleteNamespace } from './delete-namespace.ts'

export function namespaceRoutes(deps: RegistryDeps): ServiceImpl<typeof NamespaceService> {
  return {
    createNamespace: (request, context) => createNamespace(deps, request, context),
    getNamespace: (request, context) => getNamespace(deps, request, context),
    listNamespaces: (request, context) => listNamespaces(deps, request, context),
    updateNamespace: (request, context) => updateNamespace(deps, request, context),
    deleteNamespace: (request, context) => deleteNamespace(deps, request, context).finally(() => deps.callers.clear()),
  }
}
