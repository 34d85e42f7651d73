// Looking at gates, and trying them out.
import type { HandlerContext } from '@connectrpc/connect'
import type {
  GetGateRequest,
  ListGateRevisionsRequest,
  ListGatesRequest,
  TestGateRequest,
} from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseGateName, parseRules } from '../../domain/gate-rules.ts'
import { parseAliasName, parseNamespace } from '../../domain/names.ts'
import { parseVersionRef } from '../../domain/refs.ts'
import { findNamespaceOfGate, listRevisions } from '../../store/governance/gate-revisions.ts'
import { findGate, findGuards, listGates as selectGates } from '../../store/governance/gate-rows.ts'
import { findModel } from '../../store/models/model-rows.ts'
import type { RegistryDeps } from '../../deps.ts'
import { decide, decideRules, isMet } from '../../changes/gate-decisions.ts'
import { findEvidence } from '../../changes/gate-subject.ts'
import { checkKeys, isNumberKey, isTextKey } from '../page-keys.ts'
import { presentGate, presentRevision } from '../present-governance.ts'
import { requireVersion } from '../../changes/require-version.ts'

export async function getGate({ database }: RegistryDeps, request: GetGateRequest, context: HandlerContext) {
  const namespace = parseNamespace(request.namespace, 'namespace')
  const name = parseGateName(request.name, 'name')
  accessOf(context).require(namespace)
  const gate = await findGate(forkFor(database, context.signal), namespace, name)
  return { gate: presentGate(gate ?? failNoGate(`${namespace}/${name}`)) }
}

export async function listGates({ database }: RegistryDeps, request: ListGatesRequest, context: HandlerContext) {
  const namespace = parseNamespace(request.namespace, 'namespace')
  accessOf(context).require(namespace)
  const page = checkKeys(parsePage(request, ['ListGates', namespace], ['string']), [isTextKey])
  const found = await selectGates(forkFor(database, context.signal), namespace, page, context.signal)
  const { rows, nextPageToken } = cutPage(found.rows, found.page, ({ name }) => [name])
  return { gates: rows.map(presentGate), nextPageToken }
}

export async function listGateRevisions(
  { database }: RegistryDeps,
  request: ListGateRevisionsRequest,
  context: HandlerContext,
) {
  const id = parseUuid(request.gateId, 'gate_id')
  const em = forkFor(database, context.signal)
  const namespace = await findNamespaceOfGate(em, id)
  if (namespace === undefined) failNoGate(id)
  accessOf(context).require(namespace, () => failNoGate(id))
  const page = checkKeys(parsePage(request, ['ListGateRevisions', id], ['number']), [isNumberKey])
  const found = await listRevisions(em, id, page, context.signal)
  const { rows, nextPageToken } = cutPage(found.rows, found.page, ({ revision }) => [revision])
  return { revisions: rows.map(presentRevision), nextPageToken }
}

export async function testGate({ database }: RegistryDeps, request: TestGateRequest, context: HandlerContext) {
  const key = parseVersionRef(request.version, 'version')
  const alias = parseAliasName(request.alias, 'alias')
  const rules = request.rules && parseRules(request.rules)
  const em = forkFor(database, context.signal)
  const version = await requireVersion(em, context, key)
  const model = (await findModel(em, { id: version.model_id }))!
  const requester = accessOf(context).caller.principal
  const { subject } = await findEvidence(em, { version, model, alias, requester })
  const { namespace, id: modelId } = model
  const decisions = rules
    ? [decideRules(rules, subject)]
    : decide(await findGuards(em, { namespace, modelId, alias }), subject)
  return { decisions, passed: decisions.every(isMet) }
}

function failNoGate(gate: string): never {
  fail('GATE_NOT_FOUND', `gate "${gate}" not found`, { gate })
}
