import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  UpdateNamespaceRequestSchema,
  UpdateNamespaceResponseSchema,
  type UpdateNamespaceRequest,
} from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { transactionTime } from '#lib/store/time.ts'
import { parseNamespace } from '../../domain/names.ts'
import { parseDescription } from '../../domain/text.ts'
import { lockNamespace } from '../../store/models/namespace.ts'
import { requireEtag } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentNamespace } from './present-namespace.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { namespaceResource } from '../../changes/resources.ts'
import { namespaceDigest } from '../../changes/state-digest.ts'
import { failNoNamespace } from '../../changes/checks.ts'

export async function updateNamespace(deps: RegistryDeps, request: UpdateNamespaceRequest, context: HandlerContext) {
  const name = parseNamespace(request.name, 'name')
  accessOf(context).require(name)
  const description = parseDescription(request.description)
  const once = { context, request, input: UpdateNamespaceRequestSchema, output: UpdateNamespaceResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const namespace = (await lockNamespace(em, name)) ?? failNoNamespace(name)
    requireEtag(namespace, request.etag)
    const beforeDigest = namespaceDigest(namespace)
    em.assign(namespace, { description, updateTime: transactionTime() })
    await em.flush()
    await em.refresh(namespace)
    emit(em, context, {
      type: 'namespace.updated.v1',
      resource: namespaceResource(namespace),
      beforeDigest,
      afterDigest: namespaceDigest(namespace),
      details: { fields: ['description'] },
    })
    return create(UpdateNamespaceResponseSchema, { namespace: presentNamespace(namespace) })
  })
  await settleChange(deps.relay, context)
  return answer
}
