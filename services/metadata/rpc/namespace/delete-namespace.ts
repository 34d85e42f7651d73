import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  DeleteNamespaceRequestSchema,
  DeleteNamespaceResponseSchema,
  type DeleteNamespaceRequest,
} from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail, failField } from '#lib/errors/errors.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { DEFAULT_NAMESPACE, parseNamespaceName } from '../../domain/names.ts'
import { parseReason } from '../../domain/text.ts'
import * as namespaces from '../../store/models/namespace.ts'
import { lockIdentity } from '../../store/identity/roles.ts'
import type { RegistryDeps } from '../../deps.ts'
import { removeGates } from '../../changes/gate-changes.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { namespaceResource } from '../../changes/resources.ts'
import { namespaceDigest } from '../../changes/state-digest.ts'
import { failNoNamespace } from '../../changes/checks.ts'

export async function deleteNamespace(deps: RegistryDeps, request: DeleteNamespaceRequest, context: HandlerContext) {
  accessOf(context).requirePlatform()
  const name = parseNamespaceName(request.name, 'name')
  if (name === DEFAULT_NAMESPACE) failField('name', 'must not be "default", which always exists')
  const reason = parseReason(request.reason)
  const once = { context, request, input: DeleteNamespaceRequestSchema, output: DeleteNamespaceResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    await lockIdentity(em)
    const row = (await namespaces.lockNamespace(em, name)) ?? failNoNamespace(name)
    if (await namespaces.holdsModels(em, name)) {
      fail('NAMESPACE_NOT_EMPTY', `namespace "${name}" is not empty; delete its models first`, { namespace: name })
    }
    await removeGates(em, context, { namespace: name }, reason)
    await removeRoles(em, context, name, reason)
    await namespaces.removeNamespace(em, name)
    emit(em, context, {
      type: 'namespace.deleted.v1',
      resource: namespaceResource(row),
      reason,
      beforeDigest: namespaceDigest(row),
    })
    return create(DeleteNamespaceResponseSchema)
  })
  await settleChange(deps.relay, context)
  return answer
}

/** Roles on a namespace end with it: they must not come back with another one of its name. */
async function removeRoles(em: EntityManager, context: HandlerContext, name: string, reason: string): Promise<void> {
  for (const { id, principal, namespace, role } of await namespaces.removeRolesOn(em, name)) {
    const resource = { type: 'role', id, namespace, name: principal }
    emit(em, context, { type: 'role.revoked.v1', resource, reason, details: { principal, namespace, role } })
  }
}
