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
import { Model } from '../../store/models/model.ts'
import { lockNamespace } from '../../store/models/namespace.ts'
import { RoleBinding } from '../../store/identity/role-binding.ts'
import { roleDetails } from '../../changes/role-change.ts'
import { roleResource } from '../../changes/resources.ts'
import { lockIdentity } from '../../store/identity/identity-lock.ts'
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
    const namespace = (await lockNamespace(em, name)) ?? failNoNamespace(name)
    if (await em.findOne(Model, { namespace: name })) {
      fail('NAMESPACE_NOT_EMPTY', `namespace "${name}" is not empty; delete its models first`, { namespace: name })
    }
    await removeGates(em, context, { namespace: name }, reason)
    await removeRoles(em, context, name, reason)
    em.remove(namespace)
    await em.flush()
    emit(em, context, {
      type: 'namespace.deleted.v1',
      resource: namespaceResource(namespace),
      reason,
      beforeDigest: namespaceDigest(namespace),
    })
    return create(DeleteNamespaceResponseSchema)
  })
  await settleChange(deps.relay, context)
  return answer
}

/** Revokes all roles on the namespace, so that a later namespace of this name does not inherit them. */
async function removeRoles(em: EntityManager, context: HandlerContext, name: string, reason: string): Promise<void> {
  for (const binding of await em.find(RoleBinding, { namespace: name })) {
    em.remove(binding)
    const details = roleDetails(binding)
    emit(em, context, { type: 'role.revoked.v1', resource: roleResource(binding), reason, details })
  }
}
