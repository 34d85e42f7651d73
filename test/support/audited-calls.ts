// One successful call of each audited RPC. The id of each request is the name of its RPC.
import type { DescService } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { Client } from '@connectrpc/connect'
import { createHash, randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { ByteStream } from '#gen/google/bytestream/bytestream_pb.ts'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { MaintenanceService } from '#gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { PrivacyService } from '#gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { AliasService } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { Verdict } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { EvaluationService } from '#gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { GateService } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { NamespaceService } from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { PromotionService } from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import type { LogEntry } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import type { AllServices } from './all-services.ts'

const as = <S extends DescService>(all: AllServices, service: S): Client<S> => all.client(service, 'mk_admin')
export const by = (name: string) => ({ headers: { 'x-request-id': name } })
const model = { ref: { case: 'name' as const, value: { model: 'audited' } } }
const numbered = (number: number) => ({ ref: { case: 'name' as const, value: { model: 'audited', number } } })
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()
const digestOf = (bytes: Uint8Array) => `sha256:${sha256(bytes).toString('hex')}`

export async function readLog(all: AllServices): Promise<LogEntry[]> {
  return (await as(all, LogService).listEntries({ pageSize: 1000, orderBy: 'index' })).entries
}

export async function handleNamespaces(all: AllServices): Promise<void> {
  const namespaces = as(all, NamespaceService)
  await namespaces.createNamespace({ name: 'room' }, by('CreateNamespace'))
  await namespaces.updateNamespace({ name: 'room', description: 'for tests' }, by('UpdateNamespace'))
  await namespaces.deleteNamespace({ name: 'room', reason: 'done' }, by('DeleteNamespace'))
}

async function* writeMessages(data: Uint8Array) {
  const resourceName = `uploads/any/blobs/${sha256(data).toString('hex')}/${data.length}`
  yield { resourceName, data, finishWrite: true }
}

async function handleBytes(all: AllServices): Promise<string[]> {
  const [first, second] = [randomBytes(100), randomBytes(100)]
  async function* blob() {
    yield { message: { case: 'header' as const, value: { digest: digestOf(first), sizeBytes: 100n } } }
    yield { message: { case: 'chunk' as const, value: first } }
  }
  await as(all, BlobService).uploadBlob(blob(), by('UploadBlob'))
  await as(all, ByteStream).write(writeMessages(randomBytes(100)), by('Write'))
  const { result } = await as(all, UploadService).startUpload({ digest: digestOf(second), sizeBytes: 100n })
  const uploadId = result.case === 'upload' ? result.value.id : ''
  async function* part() {
    yield { message: { case: 'header' as const, value: { uploadId, number: 1, sha256: sha256(second) } } }
    yield { message: { case: 'chunk' as const, value: second } }
  }
  await as(all, UploadService).writePart(part())
  await as(all, UploadService).completeUpload({ uploadId }, by('CompleteUpload'))
  const digests: string[] = []
  for (const bytes of [first, second]) {
    const files = [{ path: 'model.bin', digest: digestOf(bytes), sizeBytes: 100n }]
    const { manifest } = await as(all, ManifestService).createManifest({ files }, by('CreateManifest'))
    digests.push(manifest!.digest)
  }
  return digests
}

export async function handleReads(all: AllServices): Promise<void> {
  const bytes = randomBytes(100)
  const digest = digestOf(bytes)
  async function* blob() {
    yield { message: { case: 'header' as const, value: { digest, sizeBytes: 100n } } }
    yield { message: { case: 'chunk' as const, value: bytes } }
  }
  await as(all, BlobService).uploadBlob(blob(), by('UploadBlob'))
  const files = [{ path: 'read.bin', digest, sizeBytes: 100n }]
  const { manifest } = await as(all, ManifestService).createManifest({ files }, by('CreateManifest'))
  await as(all, ManifestService).getManifest({ digest: manifest!.digest }, by('GetManifest'))
  for await (const _ of as(all, BlobService).downloadBlob({ digest }, by('DownloadBlob')));
  const resourceName = `blobs/${sha256(bytes).toString('hex')}/100`
  for await (const _ of as(all, ByteStream).read({ resourceName, readOffset: 1n }, by('Read')));
}

export async function handleGarbage(all: AllServices): Promise<void> {
  for await (const _ of as(all, MaintenanceService).collectGarbage({}, by('CollectGarbage')));
}

async function handleVersions(all: AllServices, digests: string[]): Promise<void> {
  const versions = as(all, VersionService)
  const aliases = as(all, AliasService)
  for (const [index, manifestDigest] of digests.entries()) {
    await versions.createVersion({ model, manifestDigest }, by('CreateVersion'))
    const target = { case: 'number' as const, value: index + 1 }
    await aliases.setAliases({ model, targets: [{ name: 'live', target, expectedNumber: index }] }, by('SetAliases'))
  }
  await aliases.rollbackAlias({ model, name: 'live', expectedNumber: 2 }, by('RollbackAlias'))
  const updateMask = { paths: ['description'] }
  await versions.updateVersion({ version: numbered(2), updateMask, description: 'better' }, by('UpdateVersion'))
  const facts = { suite: 'smoke', verdict: Verdict.PASSED }
  await as(all, EvaluationService).createEvaluation({ version: numbered(2), facts }, by('CreateEvaluation'))
  await versions.deleteVersion({ version: numbered(2), reason: 'not needed' }, by('DeleteVersion'))
  const remove = { name: 'live', target: { case: 'remove' as const, value: true }, expectedNumber: 1 }
  await aliases.setAliases({ model, targets: [remove] }, by('SetAliases'))
}

export async function handleModels(all: AllServices): Promise<void> {
  const models = as(all, ModelService)
  await models.createModel({ name: 'audited' }, by('CreateModel'))
  const digests = await handleBytes(all)
  await handleVersions(all, digests)
  await handleGovernance(all, digests[0]!)
  await models.updateModel({ model, updateMask: { paths: ['owner'] }, owner: 'team' }, by('UpdateModel'))
  await models.renameModel({ model, newName: 'renamed' }, by('RenameModel'))
  const renamed = { model: { ref: { case: 'name' as const, value: { model: 'renamed' } } } }
  await models.archiveModel(renamed, by('ArchiveModel'))
  await models.unarchiveModel(renamed, by('UnarchiveModel'))
  await models.archiveModel(renamed, by('ArchiveModel'))
  await models.deleteModel(renamed, by('DeleteModel'))
}

/** Requests promotions as the contributor, because the requester cannot decide. */
async function handleGovernance(all: AllServices, manifestDigest: string): Promise<void> {
  const [gates, promotions, bob] = [
    as(all, GateService),
    as(all, PromotionService),
    all.client(PromotionService, 'mk_contributor'),
  ]
  const guarded = { ref: { case: 'name' as const, value: { model: 'guarded' } } }
  const version = { ref: { case: 'name' as const, value: { model: 'guarded', number: 1 } } }
  const rules = { aliasPattern: 'live', approvalsRequired: 1 }
  const contributors = all.client(VersionService, 'mk_contributor')
  await as(all, ModelService).createModel({ name: 'guarded' }, by('CreateModel'))
  await contributors.createVersion({ model: guarded, manifestDigest }, by('CreateVersion'))
  await gates.createGate({ name: 'gate', rules }, by('CreateGate'))
  await gates.updateGate({ name: 'gate', rules }, by('UpdateGate'))
  const reason = 'better'
  const request = async (): Promise<string> =>
    (await bob.requestPromotion({ version, alias: 'live', reason }, by('RequestPromotion'))).promotion!.id
  await bob.withdrawPromotion({ id: await request() }, by('WithdrawPromotion'))
  await promotions.rejectPromotion({ id: await request(), reason }, by('RejectPromotion'))
  await promotions.approvePromotion({ id: await request(), reason }, by('ApprovePromotion'))
  await gates.deleteGate({ name: 'gate' }, by('DeleteGate'))
}

export async function handleIdentity(all: AllServices): Promise<void> {
  const identity = as(all, IdentityService)
  const expireTime = timestampFromMs(Date.now() + 3_600_000)
  const { token } = await identity.createToken({ principal: 'temp', expireTime }, by('CreateToken'))
  await identity.grantRole({ principal: 'temp', role: Role.READER }, by('GrantRole'))
  await identity.revokeRole({ principal: 'temp' }, by('RevokeRole'))
  await identity.revokeToken({ id: token!.id }, by('RevokeToken'))
}

export async function handlePrivacy(all: AllServices): Promise<void> {
  const privacy = as(all, PrivacyService)
  await expect.poll(() => readLog(all)).toContainEqual(expect.objectContaining({ openings: [expect.anything()] }))
  const entry = (await readLog(all)).find(({ openings }) => openings.length > 0)!
  const subject = { case: 'resourceId' as const, value: 'r' }
  const { hold } = await privacy.placeHold({ subject, reason: 'a case' }, by('PlaceHold'))
  await privacy.releaseHold({ id: hold!.id, reason: 'over' }, by('ReleaseHold'))
  await privacy.redactEvent({ eventId: entry.event!.id, reason: 'asked' }, by('RedactEvent'))
}
