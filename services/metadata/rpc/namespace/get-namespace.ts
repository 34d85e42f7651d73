import type { HandlerContext } from '@connectrpc/connect'
import type { GetNamespaceRequest } from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseNamespace } from '../../domain/names.ts'
import { Namespace } from '../../store/models/namespace.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentNamespace } from './present-namespace.ts'
import { failNoNamespace } from '../../changes/checks.ts'

export async function getNamespace({ database }: RegistryDeps, request: GetNamespaceRequest, context: HandlerContext) {
  const name = parseNamespace(request.name, 'name')
  accessOf(context).require(name)
  const namespace = await forkFor(database, context.signal).findOne(Namespace, name)
  return { namespace: presentNamespace(namespace ?? failNoNamespace(name)) }
}
