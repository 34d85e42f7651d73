// A valid request for every RPC of the metadata service that changes something. A test compares the list with the
// descriptors, so it fails for a new RPC that is missing here.
import { create, type DescMessage, type DescMethodUnary, type Message, type MessageInitShape } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { AliasService } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { Verdict } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { EvaluationService } from '#gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { GateService } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { NamespaceService } from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { PromotionService } from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import { METHODS, ruleOf } from './every-service.ts'
import { byName, makeModel, newDigest, numbered, type Clients, type Metadata } from './metadata.ts'

export const METADATA_METHODS = METHODS.filter(({ parent }) => parent.typeName.startsWith('modelkeep.metadata.'))
/** Names of the RPCs that change something. */
export const CHANGES = METADATA_METHODS.filter((method) => ruleOf(method).audited).map(({ name }) => name)

export interface Change {
  method: DescMethodUnary
  request: Message & { requestId: string }
  caller: Clients
}

/** The outcome of a call: `answered`, or the reason of its error. */
export function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'answered',
    (error: unknown) => reasonOf(error)?.reason ?? String(error),
  )
}

function change<I extends DescMessage, O extends DescMessage>(
  caller: Clients,
  method: DescMethodUnary<I, O>,
  init: MessageInitShape<I>,
): Change {
  return { method, request: create(method.input, init) as unknown as Change['request'], caller }
}

/** The changes are independent: they can run in any order, also concurrently. */
export async function prepareChanges(metadata: Metadata): Promise<Change[]> {
  const { admin } = metadata
  await makeModel(admin, 'changed', 4)
  return [
    ...(await prepareNamespaces(admin)),
    ...(await prepareModels(admin)),
    ...changesOfVersions(admin),
    ...(await prepareAliases(admin)),
    ...(await prepareGates(admin)),
    ...(await preparePromotions(admin, await metadata.member({ default: 'APPROVER' }))),
    ...(await prepareIdentity(admin)),
  ]
}

async function prepareNamespaces(admin: Clients): Promise<Change[]> {
  const { method } = NamespaceService
  await admin.namespaces.createNamespace({ name: 'emptied' })
  return [
    change(admin, method.createNamespace, { name: 'created' }),
    change(admin, method.updateNamespace, { description: 'better' }),
    change(admin, method.deleteNamespace, { name: 'emptied' }),
  ]
}

async function prepareModels(admin: Clients): Promise<Change[]> {
  const { method } = ModelService
  for (const name of ['renamed', 'archived', 'unarchived', 'deleted']) await makeModel(admin, name)
  for (const name of ['unarchived', 'deleted']) await admin.models.archiveModel({ model: byName(name) })
  const updateMask = { paths: ['owner'] }
  return [
    change(admin, method.createModel, { name: 'created' }),
    change(admin, method.updateModel, { model: byName('changed'), updateMask, owner: 'team' }),
    change(admin, method.renameModel, { model: byName('renamed'), newName: 'renamed-anew' }),
    change(admin, method.archiveModel, { model: byName('archived') }),
    change(admin, method.unarchiveModel, { model: byName('unarchived') }),
    change(admin, method.deleteModel, { model: byName('deleted') }),
  ]
}

function changesOfVersions(admin: Clients): Change[] {
  const { method } = VersionService
  const version = numbered('changed', 1)
  const updateMask = { paths: ['description'] }
  const facts = { suite: 'smoke', verdict: Verdict.PASSED }
  return [
    change(admin, method.createVersion, { model: byName('changed'), manifestDigest: newDigest() }),
    change(admin, method.updateVersion, { version, updateMask, description: 'better' }),
    change(admin, method.deleteVersion, { version: numbered('changed', 4) }),
    change(admin, EvaluationService.method.createEvaluation, { version, facts }),
  ]
}

const model = byName('changed')
const to = (name: string, value: number, expectedNumber = 0) => ({
  name,
  target: { case: 'number' as const, value },
  expectedNumber,
})
const past = { breakGlass: true, reason: 'incident' }

/** Two alias changes of each kind: an ordinary one, and one past a gate. */
async function prepareAliases(admin: Clients): Promise<Change[]> {
  const { setAliases, rollbackAlias } = AliasService.method
  const rules = { aliasPattern: 'forced*', approvalsRequired: 1 }
  await admin.gates.createGate({ name: 'forced', rules })
  for (const value of [1, 2]) {
    const targets = [to('back', value, value - 1), to('forced-back', value, value - 1)]
    await admin.aliases.setAliases({ model, targets, ...past })
  }
  return [
    change(admin, setAliases, { model, targets: [to('moved', 1)] }),
    change(admin, setAliases, { model, targets: [to('forced', 1)], ...past }),
    change(admin, rollbackAlias, { model, name: 'back', expectedNumber: 2 }),
    change(admin, rollbackAlias, { model, name: 'forced-back', expectedNumber: 2, ...past }),
  ]
}

async function prepareGates(admin: Clients): Promise<Change[]> {
  const { method } = GateService
  const rules = { aliasPattern: 'nothing', approvalsRequired: 1 }
  for (const name of ['updated', 'deleted']) await admin.gates.createGate({ name, rules })
  return [
    change(admin, method.createGate, { name: 'created', rules }),
    change(admin, method.updateGate, { name: 'updated', rules: { ...rules, approvalsRequired: 2 } }),
    change(admin, method.deleteGate, { name: 'deleted' }),
  ]
}

/** Promotions that are applied, that wait, and that end. */
async function preparePromotions(admin: Clients, approver: Clients): Promise<Change[]> {
  const { method } = PromotionService
  const rules = { aliasPattern: 'one-*', approvalsRequired: 1 }
  await admin.gates.createGate({ name: 'one', rules })
  await admin.gates.createGate({ name: 'two', rules: { aliasPattern: 'two-*', approvalsRequired: 2 } })
  const asked = (alias: string) => ({ version: numbered('changed', 1), alias, reason: 'better' })
  const ask = async (alias: string): Promise<string> =>
    (await admin.promotions.requestPromotion(asked(alias))).promotion!.id
  const reason = 'looked at'
  return [
    change(admin, method.requestPromotion, asked('one-asked')),
    change(admin, method.requestPromotion, asked('unguarded')),
    change(approver, method.approvePromotion, { id: await ask('one-approved'), reason }),
    change(approver, method.approvePromotion, { id: await ask('two-approved'), reason }),
    change(approver, method.rejectPromotion, { id: await ask('one-rejected'), reason }),
    change(admin, method.withdrawPromotion, { id: await ask('one-withdrawn'), reason }),
  ]
}

async function prepareIdentity(admin: Clients): Promise<Change[]> {
  const { method } = IdentityService
  const expireTime = timestampFromMs(Date.now() + 3_600_000)
  const { token } = await admin.identity.createToken({ principal: 'leaving', expireTime })
  await admin.identity.grantRole({ principal: 'leaving', role: Role.READER })
  return [
    change(admin, method.createToken, { principal: 'coming', expireTime }),
    change(admin, method.revokeToken, { id: token!.id }),
    change(admin, method.grantRole, { principal: 'coming', role: Role.READER }),
    change(admin, method.revokeRole, { principal: 'leaving' }),
  ]
}
