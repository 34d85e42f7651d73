import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import {
  CreateNamespaceRequestSchema,
  CreateNamespaceResponseSchema,
  type CreateNamespaceRequest,
} from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseNamespaceName } from '../../domain/names.ts'
import { parseDescription } from '../../domain/text.ts'
import { Namespace } from '../../store/models/namespace.ts'
import { flushUnique } from '../../store/unique.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentNamespace } from './present-namespace.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { namespaceResource } from '../../changes/resources.ts'
import { namespaceDigest } from '../../changes/state-digest.ts'

export async function createNamespace(deps: RegistryDeps, request: CreateNamespaceRequest, context: HandlerContext) {
  accessOf(context).requirePlatform()
  const name = parseNamespaceName(request.name, 'name')
  const description = parseDescription(request.description)
  const once = { context, request, input: CreateNamespaceRequestSchema, output: CreateNamespaceResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const namespace = em.create(Namespace, { id: uuidv7(), name, description })
    await flushUnique(em, 'namespace_pkey', () => failNamespaceExists(name))
    emit(em, context, {
      type: 'namespace.created.v1',
      resource: namespaceResource(namespace),
      afterDigest: namespaceDigest(namespace),
    })
    return create(CreateNamespaceResponseSchema, { namespace: presentNamespace(namespace) })
  })
  await settleChange(deps.relay, context)
  return answer
}

function failNamespaceExists(namespace: string): never {
  fail('NAMESPACE_EXISTS', `namespace "${namespace}" already exists`, { namespace })
}
