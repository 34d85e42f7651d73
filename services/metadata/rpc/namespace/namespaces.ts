import { create } from '@bufbuild/protobuf'
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import {
  CreateNamespaceRequestSchema,
  CreateNamespaceResponseSchema,
  DeleteNamespaceRequestSchema,
  DeleteNamespaceResponseSchema,
  UpdateNamespaceRequestSchema,
  UpdateNamespaceResponseSchema,
  type CreateNamespaceRequest,
  type DeleteNamespaceRequest,
  type GetNamespaceRequest,
  type ListNamespacesRequest,
  type NamespaceService,
  type UpdateNamespaceRequest,
} from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail, failField } from '#lib/errors/errors.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { DEFAULT_NAMESPACE, parseNamespace, parseNamespaceName } from '../../domain/names.ts'
import { parseDescription, parseReason } from '../../domain/text.ts'
import * as namespaces from '../../store/models/namespace.ts'
import { lockIdentity } from '../../store/identity/roles.ts'
import { requireEtag } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { removeGates } from '../../changes/gate-changes.ts'
import { checkKeys, isTextKey } from '../page-keys.ts'
import { presentNamespace } from '../present.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { digestOf } from '../../changes/state-digest.ts'

export function namespaceRoutes(deps: RegistryDeps): ServiceImpl<typeof NamespaceService> {
  return {
    createNamespace: (request, context) => createNamespace(deps, request, context),
    getNamespace: (request, context) => getNamespace(deps, request, context),
    listNamespaces: (request, context) => listNamespaces(deps, request, context),
    updateNamespace: (request, context) => updateNamespace(deps, request, context),
    deleteNamespace: (request, context) => deleteNamespace(deps, request, context),
  }
}

async function createNamespace(deps: RegistryDeps, request: CreateNamespaceRequest, context: HandlerContext) {
  accessOf(context).requirePlatform()
  const name = parseNamespaceName(request.name, 'name')
  const description = parseDescription(request.description)
  const once = { context, request, input: CreateNamespaceRequestSchema, output: CreateNamespaceResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const row = await namespaces.insertNamespace(em, { id: uuidv7(), name, description })
    if (!row) fail('NAMESPACE_EXISTS', `namespace "${name}" already exists`, { namespace: name })
    emit(em, context, { type: 'namespace.created.v1', resource: resourceOf(row), afterDigest: stateOf(row) })
    return create(CreateNamespaceResponseSchema, { namespace: presentNamespace(row) })
  })
  await settleChange(deps.relay, context)
  return answer
}

async function getNamespace({ database }: RegistryDeps, request: GetNamespaceRequest, context: HandlerContext) {
  const name = parseNamespace(request.name, 'name')
  accessOf(context).require(name)
  const row = await namespaces.findNamespace(forkFor(database, context.signal), name)
  return { namespace: presentNamespace(row ?? failNoNamespace(name)) }
}

async function listNamespaces({ database }: RegistryDeps, request: ListNamespacesRequest, context: HandlerContext) {
  const readable = accessOf(context).namespaces()
  const page = checkKeys(parsePage(request, ['ListNamespaces'], ['string']), [isTextKey])
  const question = { after: page.after && String(page.after[0]), limit: page.size + 1 }
  const found = await namespaces.listNamespaces(forkFor(database, context.signal), readable, question)
  const { rows, nextPageToken } = cutPage(found, page, ({ name }) => [name])
  return { namespaces: rows.map(presentNamespace), nextPageToken }
}

async function updateNamespace(deps: RegistryDeps, request: UpdateNamespaceRequest, context: HandlerContext) {
  const name = parseNamespace(request.name, 'name')
  accessOf(context).require(name)
  const description = parseDescription(request.description)
  const once = { context, request, input: UpdateNamespaceRequestSchema, output: UpdateNamespaceResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const before = (await namespaces.lockNamespace(em, name)) ?? failNoNamespace(name)
    requireEtag(before, request.etag)
    const row = await namespaces.describeNamespace(em, name, description)
    emit(em, context, {
      type: 'namespace.updated.v1',
      resource: resourceOf(row),
      beforeDigest: stateOf(before),
      afterDigest: stateOf(row),
      details: { fields: ['description'] },
    })
    return create(UpdateNamespaceResponseSchema, { namespace: presentNamespace(row) })
  })
  await settleChange(deps.relay, context)
  return answer
}

async function deleteNamespace(deps: RegistryDeps, request: DeleteNamespaceRequest, context: HandlerContext) {
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
    emit(em, context, { type: 'namespace.deleted.v1', resource: resourceOf(row), reason, beforeDigest: stateOf(row) })
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

function resourceOf({ id, name }: namespaces.NamespaceRow) {
  return { type: 'namespace', id, namespace: name, name }
}

function stateOf({ name, description }: namespaces.NamespaceRow): string {
  return digestOf({ name, description })
}

function failNoNamespace(namespace: string): never {
  fail('NAMESPACE_NOT_FOUND', `namespace "${namespace}" not found`, { namespace })
}
