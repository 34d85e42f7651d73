// Every RPC that is declared `audited` leaves its event, in the outbox with the change and then in the log, once.
import type { DescService } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { Client } from '@connectrpc/connect'
import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ByteStream } from '../../gen/google/bytestream/bytestream_pb.ts'
import { BlobService } from '../../gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { MaintenanceService } from '../../gen/modelkeep/artifact/v1/maintenance_service_pb.ts'
import { ManifestService } from '../../gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '../../gen/modelkeep/artifact/v1/upload_service_pb.ts'
import type { LogEntry } from '../../gen/modelkeep/audit/v1/event_pb.ts'
import { LogService } from '../../gen/modelkeep/audit/v1/log_service_pb.ts'
import { PrivacyService } from '../../gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { AliasService } from '../../gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { IdentityService } from '../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { Role } from '../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { ModelService } from '../../gen/modelkeep/metadata/v1/model_service_pb.ts'
import { NamespaceService } from '../../gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { VersionService } from '../../gen/modelkeep/metadata/v1/version_service_pb.ts'
import { readEvent } from '../../clients/cli/audit/event.ts'
import { replayGovernance } from '../../clients/cli/audit/governance.ts'
import { startAllServices, type AllServices } from '../support/all-services.ts'
import { METHODS, ruleOf } from '../support/every-service.ts'

let all: AllServices
beforeAll(async () => {
  all = await startAllServices()
})
afterAll(() => all.close())

const as = <S extends DescService>(service: S): Client<S> => all.client(service, 'mk_admin')
/** The call's request id names its RPC. */
const by = (name: string) => ({ headers: { 'x-request-id': name } })
const model = { ref: { case: 'name' as const, value: { model: 'audited' } } }
const numbered = (number: number) => ({ ref: { case: 'name' as const, value: { model: 'audited', number } } })
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()
const digestOf = (bytes: Uint8Array) => `sha256:${sha256(bytes).toString('hex')}`

async function handleNamespaces(): Promise<void> {
  const namespaces = as(NamespaceService)
  await namespaces.createNamespace({ name: 'room' }, by('CreateNamespace'))
  await namespaces.updateNamespace({ name: 'room', description: 'for tests' }, by('UpdateNamespace'))
  await namespaces.deleteNamespace({ name: 'room', reason: 'done' }, by('DeleteNamespace'))
}

async function* writeMessages(data: Uint8Array) {
  const resourceName = `uploads/any/blobs/${sha256(data).toString('hex')}/${data.length}`
  yield { resourceName, data, finishWrite: true }
}

async function handleBytes(): Promise<string[]> {
  const [first, second] = [randomBytes(100), randomBytes(100)]
  async function* blob() {
    yield { message: { case: 'header' as const, value: { digest: digestOf(first), sizeBytes: 100n } } }
    yield { message: { case: 'chunk' as const, value: first } }
  }
  await as(BlobService).uploadBlob(blob(), by('UploadBlob'))
  await as(ByteStream).write(writeMessages(randomBytes(100)), by('Write'))
  const { result } = await as(UploadService).startUpload({ digest: digestOf(second), sizeBytes: 100n })
  const uploadId = result.case === 'upload' ? result.value.id : ''
  async function* part() {
    yield { message: { case: 'header' as const, value: { uploadId, number: 1, sha256: sha256(second) } } }
    yield { message: { case: 'chunk' as const, value: second } }
  }
  await as(UploadService).writePart(part())
  await as(UploadService).completeUpload({ uploadId }, by('CompleteUpload'))
  const digests: string[] = []
  for (const bytes of [first, second]) {
    const files = [{ path: 'model.bin', digest: digestOf(bytes), sizeBytes: 100n }]
    const { manifest } = await as(ManifestService).createManifest({ files }, by('CreateManifest'))
    digests.push(manifest!.digest)
  }
  return digests
}

async function handleGarbage(): Promise<void> {
  for await (const _ of as(MaintenanceService).collectGarbage({}, by('CollectGarbage')));
}

async function handleVersions(digests: string[]): Promise<void> {
  const versions = as(VersionService)
  const aliases = as(AliasService)
  for (const [index, manifestDigest] of digests.entries()) {
    await versions.createVersion({ model, manifestDigest }, by('CreateVersion'))
    const target = { case: 'number' as const, value: index + 1 }
    await aliases.setAliases({ model, targets: [{ name: 'live', target, expectedNumber: index }] }, by('SetAliases'))
  }
  await aliases.rollbackAlias({ model, name: 'live', expectedNumber: 2 }, by('RollbackAlias'))
  const updateMask = { paths: ['description'] }
  await versions.updateVersion({ version: numbered(2), updateMask, description: 'better' }, by('UpdateVersion'))
  await versions.deleteVersion({ version: numbered(2), reason: 'not needed' }, by('DeleteVersion'))
  const remove = { name: 'live', target: { case: 'remove' as const, value: true }, expectedNumber: 1 }
  await aliases.setAliases({ model, targets: [remove] }, by('SetAliases'))
}

async function handleModels(): Promise<void> {
  const models = as(ModelService)
  await models.createModel({ name: 'audited' }, by('CreateModel'))
  await handleVersions(await handleBytes())
  await models.updateModel({ model, updateMask: { paths: ['owner'] }, owner: 'team' }, by('UpdateModel'))
  await models.renameModel({ model, newName: 'renamed' }, by('RenameModel'))
  const renamed = { model: { ref: { case: 'name' as const, value: { model: 'renamed' } } } }
  await models.archiveModel(renamed, by('ArchiveModel'))
  await models.unarchiveModel(renamed, by('UnarchiveModel'))
  await models.archiveModel(renamed, by('ArchiveModel'))
  await models.deleteModel(renamed, by('DeleteModel'))
}

async function handleIdentity(): Promise<void> {
  const identity = as(IdentityService)
  const expireTime = timestampFromMs(Date.now() + 3_600_000)
  const { token } = await identity.createToken({ principal: 'temp', expireTime }, by('CreateToken'))
  await identity.grantRole({ principal: 'temp', role: Role.READER }, by('GrantRole'))
  await identity.revokeRole({ principal: 'temp' }, by('RevokeRole'))
  await identity.revokeToken({ id: token!.id }, by('RevokeToken'))
}

async function handlePrivacy(): Promise<void> {
  const privacy = as(PrivacyService)
  await expect.poll(readLog).toContainEqual(expect.objectContaining({ openings: [expect.anything()] }))
  const entry = (await readLog()).find(({ openings }) => openings.length > 0)!
  const subject = { case: 'resourceId' as const, value: 'r' }
  const { hold } = await privacy.placeHold({ subject, reason: 'a case' }, by('PlaceHold'))
  await privacy.releaseHold({ id: hold!.id, reason: 'over' }, by('ReleaseHold'))
  await privacy.redactEvent({ eventId: entry.event!.id, reason: 'asked' }, by('RedactEvent'))
}

/** What each audited RPC of the registry and of the log tells, whatever else the same call tells of. */
const CATALOGUE: Record<string, string[]> = {
  CreateNamespace: ['namespace.created.v1'],
  UpdateNamespace: ['namespace.updated.v1'],
  DeleteNamespace: ['namespace.deleted.v1'],
  CreateModel: ['model.created.v1'],
  UpdateModel: ['model.updated.v1'],
  RenameModel: ['model.renamed.v1'],
  ArchiveModel: ['model.archived.v1'],
  UnarchiveModel: ['model.unarchived.v1'],
  DeleteModel: ['model.deleted.v1'],
  CreateVersion: ['version.created.v1'],
  UpdateVersion: ['version.updated.v1'],
  DeleteVersion: ['version.deleted.v1'],
  SetAliases: ['alias.moved.v1', 'alias.removed.v1'],
  RollbackAlias: ['alias.moved.v1'],
  CreateToken: ['token.created.v1'],
  RevokeToken: ['token.revoked.v1'],
  GrantRole: ['role.granted.v1'],
  RevokeRole: ['role.revoked.v1'],
  RedactEvent: ['event.redacted.v1'],
  PlaceHold: ['hold.placed.v1'],
  ReleaseHold: ['hold.released.v1'],
}

function typesByRpc(entries: LogEntry[]): Record<string, string[]> {
  const types: Record<string, Set<string>> = {}
  for (const { event } of entries) (types[event!.requestId] ??= new Set()).add(event!.type)
  return Object.fromEntries(Object.entries(types).map(([name, found]) => [name, [...found].toSorted()]))
}

async function readLog(): Promise<LogEntry[]> {
  return (await as(LogService).listEntries({ pageSize: 1000, orderBy: 'index' })).entries
}

test('every audited RPC is in the log, with who and what, once per change', async () => {
  await handleGarbage()
  await handleNamespaces()
  await handleModels()
  await handleIdentity()
  await handlePrivacy()
  const audited = METHODS.filter((method) => ruleOf(method).audited).map(({ name }) => name)
  expect(audited.length).toBeGreaterThan(15)
  await expect
    .poll(async () => {
      const told = new Set((await readLog()).map(({ event }) => event!.requestId))
      return audited.filter((name) => !told.has(name))
    })
    .toEqual([])
  const entries = await readLog()
  for (const { event } of entries.filter(({ event: told }) => audited.includes(told!.requestId))) {
    expect(event).toMatchObject({ actor: { principal: 'admin', method: 'token' } })
    expect(event!.type).toMatch(/^[a-z]+\.[a-z]+\.v1$/)
    expect(event!.resource!.id).not.toBe('')
    expect(event!.resource!.name).not.toBe('')
  }
  const catalogued = METHODS.filter(
    (method) => ruleOf(method).audited && /^modelkeep\.(metadata|audit)\./.test(method.parent.typeName),
  )
  expect(catalogued.map(({ name }) => name).toSorted()).toEqual(Object.keys(CATALOGUE).toSorted())
  expect(typesByRpc(entries)).toMatchObject(CATALOGUE)
  const governance = replayGovernance()
  for (const { leaf, index } of entries) governance.apply(Number(index), readEvent(Buffer.from(leaf)))
  // The tokens of these callers were never made.
  expect(governance.broken.filter((wrong) => !wrong.endsWith('a token that admin was not given'))).toEqual([])
  expect(governance.judged).toBeGreaterThan(20)
  expect(new Set(entries.map(({ event }) => event!.id)).size).toBe(entries.length)
  expect(entries.map(({ index }) => Number(index))).toEqual(entries.map((_, index) => index))
})
