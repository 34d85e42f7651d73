// The permission of every RPC, listed by hand and tested on the real services with a caller of every role. The test fails
// when a proto declares another permission, or a role gets another permission.
import { toBinary, type Message } from '@bufbuild/protobuf'
import { Code, type ConnectError } from '@connectrpc/connect'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Permission } from '../../gen/modelkeep/common/v1/access_pb.ts'
import { Role } from '../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { S3Store } from '../../services/artifact/store/s3/s3-store.ts'
import { holds, ANONYMOUS } from '../../services/lib/access/caller.ts'
import { reasonOf } from '../../services/lib/errors/read-error.ts'
import { makeSigner } from '../support/audit.ts'
import { METHODS, pathOf, ruleOf } from '../support/every-service.ts'
import { HandClient } from '../support/hand-call.ts'
import { createBucket, type TestBucket } from '../support/minio.ts'
import { VALID } from '../support/valid/every-request.ts'
import { startWorld, type World } from '../support/valid/world.ts'

/** The permission of each RPC; for RPCs between services, the services that may call it. */
const TABLE: Record<string, string> = {
  'ByteStream/Read': 'READ',
  'ByteStream/Write': 'WRITE',
  'ByteStream/QueryWriteStatus': 'WRITE',
  'BlobService/FindMissingBlobs': 'READ',
  'BlobService/GetBlob': 'READ',
  'BlobService/UploadBlob': 'WRITE',
  'BlobService/DownloadBlob': 'READ',
  'DirectService/SignParts': 'WRITE',
  'DirectService/ConfirmParts': 'WRITE',
  'DirectService/GetDownloadPlan': 'READ',
  'MaintenanceService/CollectGarbage': 'PLATFORM',
  'MaintenanceService/VerifyBlob': 'WRITE',
  'MaintenanceService/GetStorage': 'PLATFORM',
  'ManifestService/CreateManifest': 'WRITE',
  'ManifestService/GetManifest': 'READ',
  'ManifestService/RetainManifest': 'metadata',
  'ManifestService/ReleaseManifest': 'metadata',
  'UploadService/StartUpload': 'WRITE',
  'UploadService/WritePart': 'WRITE',
  'UploadService/GetUpload': 'WRITE',
  'UploadService/CompleteUpload': 'WRITE',
  'UploadService/AbortUpload': 'WRITE',
  'IngestService/AppendEvents': 'metadata or artifact',
  'LogService/GetEntry': 'READ',
  'LogService/ListEntries': 'READ',
  'LogService/WatchEntries': 'READ',
  'LogService/GetLogHealth': 'READ ON ALL',
  'PrivacyService/RedactEvent': 'PLATFORM',
  'PrivacyService/PlaceHold': 'PLATFORM',
  'PrivacyService/ReleaseHold': 'PLATFORM',
  'PrivacyService/ListHolds': 'PLATFORM',
  'PrivacyService/ListRetention': 'PLATFORM',
  'ProofService/GetCheckpoint': 'AUTHENTICATED',
  'ProofService/GetInclusionProof': 'READ',
  'ProofService/GetConsistencyProof': 'AUTHENTICATED',
  'ProofService/GetProofBundle': 'READ',
  'ProofService/ExportEntries': 'READ ON ALL',
  'AliasService/SetAliases': 'WRITE',
  'AliasService/RollbackAlias': 'WRITE',
  'AliasService/ListAliases': 'READ',
  'AliasService/ListAliasMoves': 'READ',
  'EvaluationService/CreateEvaluation': 'WRITE',
  'EvaluationService/GetEvaluation': 'READ',
  'EvaluationService/ListEvaluations': 'READ',
  'GateService/CreateGate': 'ADMINISTER',
  'GateService/UpdateGate': 'ADMINISTER',
  'GateService/DeleteGate': 'ADMINISTER',
  'GateService/GetGate': 'READ',
  'GateService/ListGates': 'READ',
  'GateService/ListGateRevisions': 'READ',
  'GateService/TestGate': 'READ',
  'IdentityService/WhoAmI': 'AUTHENTICATED',
  'IdentityService/CreateToken': 'PLATFORM',
  'IdentityService/ListTokens': 'PLATFORM',
  'IdentityService/RevokeToken': 'PLATFORM',
  'IdentityService/GrantRole': 'ADMINISTER',
  'IdentityService/RevokeRole': 'ADMINISTER',
  'IdentityService/ListRoles': 'ADMINISTER',
  'IdentityService/AuthenticateToken': 'artifact or audit',
  'ModelService/CreateModel': 'WRITE',
  'ModelService/GetModel': 'READ',
  'ModelService/ListModels': 'READ',
  'ModelService/UpdateModel': 'WRITE',
  'ModelService/RenameModel': 'ADMINISTER',
  'ModelService/ArchiveModel': 'ADMINISTER',
  'ModelService/UnarchiveModel': 'ADMINISTER',
  'ModelService/DeleteModel': 'ADMINISTER',
  'NamespaceService/CreateNamespace': 'PLATFORM',
  'NamespaceService/GetNamespace': 'READ',
  'NamespaceService/ListNamespaces': 'READ',
  'NamespaceService/UpdateNamespace': 'ADMINISTER',
  'NamespaceService/DeleteNamespace': 'PLATFORM',
  'PromotionService/RequestPromotion': 'WRITE',
  'PromotionService/ApprovePromotion': 'APPROVE',
  'PromotionService/RejectPromotion': 'APPROVE',
  'PromotionService/WithdrawPromotion': 'WRITE',
  'PromotionService/GetPromotion': 'READ',
  'PromotionService/ListPromotions': 'READ',
  'VersionService/CreateVersion': 'WRITE',
  'VersionService/ResolveVersion': 'READ',
  'VersionService/ListVersions': 'READ',
  'VersionService/UpdateVersion': 'WRITE',
  'VersionService/DeleteVersion': 'ADMINISTER',
}

const PERMISSIONS: Record<keyof typeof Role, (keyof typeof Permission)[]> = {
  UNSPECIFIED: [],
  READER: ['READ'],
  CONTRIBUTOR: ['READ', 'WRITE'],
  APPROVER: ['READ', 'WRITE', 'APPROVE'],
  ADMIN: ['READ', 'WRITE', 'APPROVE', 'ADMINISTER'],
}

/** The permissions in `default`, keyed by token. The `mk_elsewhere` and `mk_mixed` callers also administer another namespace,
 * so that the handler rejects them and not the access gate. */
const CALLERS: Record<string, string[]> = {
  mk_nobody: ['AUTHENTICATED'],
  mk_elsewhere: ['AUTHENTICATED'],
  mk_mixed: ['AUTHENTICATED', ...PERMISSIONS.READER],
  mk_mixed_contributor: ['AUTHENTICATED', ...PERMISSIONS.CONTRIBUTOR],
  mk_mixed_approver: ['AUTHENTICATED', ...PERMISSIONS.APPROVER],
  mk_owner: ['AUTHENTICATED', ...PERMISSIONS.ADMIN],
  mk_admin: ['AUTHENTICATED', ...PERMISSIONS.ADMIN, 'READ ON ALL', 'PLATFORM'],
  mks_metadata: ['AUTHENTICATED', 'metadata'],
  mks_artifact: ['AUTHENTICATED', 'artifact'],
  mks_audit: ['AUTHENTICATED', 'audit'],
}

/** RPCs that any reader may call: they return only what the caller may read, or only hashes. */
const ANSWERED = [
  'NamespaceService/ListNamespaces',
  'LogService/ListEntries',
  'LogService/WatchEntries',
  'ProofService/GetInclusionProof',
]
/** RPCs that return NOT_FOUND for the id of a resource that the caller may not read. */
const HIDDEN = [
  'EvaluationService/GetEvaluation',
  'GateService/ListGateRevisions',
  ...['ApprovePromotion', 'RejectPromotion', 'WithdrawPromotion', 'GetPromotion'].map((it) => `PromotionService/${it}`),
  'LogService/GetEntry',
  'ProofService/GetProofBundle',
]
/** RPCs that return NOT_FOUND to everybody but the creator of the upload. */
const PRIVATE = [
  ...['WritePart', 'GetUpload', 'CompleteUpload', 'AbortUpload'].map((it) => `UploadService/${it}`),
  ...['SignParts', 'ConfirmParts'].map((it) => `DirectService/${it}`),
]
/** RPCs that need WRITE for the caller's own resources and ADMINISTER for those of others. */
const NOT_ONES_OWN = ['PromotionService/WithdrawPromotion']
/** RPCs that only the metadata service may call with this request. */
const OF_METADATA = ['IngestService/AppendEvents']

let world: World
let bucket: TestBucket
let client: HandClient
beforeAll(async () => {
  bucket = await createBucket()
  world = { ...(await startWorld({ bytes: new S3Store(bucket.options), signer: makeSigner() })), rooms: 'default' }
  client = new HandClient(world.all.address)
})
afterAll(async () => {
  client.close()
  await world.all.close()
  await bucket.drop()
})

const named = METHODS.map((method) => [`${method.parent.name}/${method.name}`, method] as const)

test('each RPC declares the permission that is listed here', () => {
  const declared = named.map(([name, method]) => {
    const { name: permission, services } = ruleOf(method)
    // The whole log holds the events of all namespaces, so the handler requires a role on `*`.
    const isWhole = permission === 'READ' && TABLE[name] === 'READ ON ALL'
    return [name, isWhole ? 'READ ON ALL' : services.join(' or ') || permission]
  })
  expect(Object.fromEntries(declared)).toEqual(TABLE)
})

test('each role holds the permissions that are listed here, in its own namespace only', () => {
  const names = Object.keys(Permission) as (keyof typeof Permission)[]
  for (const [role, permissions] of Object.entries(PERMISSIONS)) {
    const caller = { ...ANONYMOUS, roles: new Map([['default', Role[role as keyof typeof Role]]]) }
    const held = (namespace: string) => names.filter((name) => holds(caller, Permission[name], namespace)).toSorted()
    expect([role, held('default')]).toEqual([role, permissions.toSorted()])
    expect([role, held('elsewhere'), held('*')]).toEqual([role, [], []])
  }
})

describe.each(named)('%s', (name, method) => {
  test('succeeds for callers with its permission, and rejects all others', async () => {
    const valid = VALID.get(pathOf(method))![0]!
    // A rejected request changes nothing, so the next caller can send it again.
    let unused: { uploader: string; request: Message[] } | undefined
    for (const [token, held] of Object.entries(CALLERS)) {
      const uploader = held.includes('WRITE') ? token : 'mk_admin'
      const isUsable = unused && (unused.uploader === uploader || !PRIVATE.includes(name))
      const request: Message[] = isUsable ? unused!.request : await valid.make({ ...world, uploader })
      const call = { method, token, endless: method.name === 'WatchEntries' }
      const { error } = await client.grpc(
        call,
        request.map((message) => toBinary(method.input, message)),
      )
      expect([token, outcomeOf(error)]).toEqual([token, expectedOutcome(name, token, held)])
      unused = error && { uploader, request }
    }
  })
})

/** `done`, `denied`, or `not found` if the caller may not learn that the resource exists. */
function expectedOutcome(name: string, token: string, held: string[]): string {
  if (OF_METADATA.includes(name)) return token === 'mks_metadata' ? 'done' : 'denied'
  if (NOT_ONES_OWN.includes(name) && held.includes('WRITE')) return held.includes('ADMINISTER') ? 'done' : 'denied'
  if (TABLE[name]!.split(' or ').some((needed) => held.includes(needed))) return 'done'
  if (token === 'mk_mixed') return PRIVATE.includes(name) ? 'not found' : 'denied'
  if (token !== 'mk_elsewhere') return 'denied'
  if (ANSWERED.includes(name)) return 'done'
  return [...HIDDEN, ...PRIVATE].includes(name) ? 'not found' : 'denied'
}

function outcomeOf(error: ConnectError | undefined): string {
  if (!error) return 'done'
  if (error.code === Code.NotFound) return 'not found'
  const { reason = '' } = reasonOf(error) ?? {}
  return reason === 'PERMISSION_DENIED' ? 'denied' : `${reason}: ${error.rawMessage}`
}
