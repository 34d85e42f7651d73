// A registry with one resource of each kind in `default`, and their ids. A caller with a role in another namespace must not
// learn that they exist.
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import { BlobService } from '../../gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { ManifestService } from '../../gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '../../gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { LogService } from '../../gen/modelkeep/audit/v1/log_service_pb.ts'
import { PrivacyService } from '../../gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { AliasService } from '../../gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { Verdict } from '../../gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { EvaluationService } from '../../gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { GateService } from '../../gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { IdentityService } from '../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ModelService } from '../../gen/modelkeep/metadata/v1/model_service_pb.ts'
import { PromotionService } from '../../gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { VersionService } from '../../gen/modelkeep/metadata/v1/version_service_pb.ts'
import type { AllServices } from './all-services.ts'
import { pollUntil } from './poll.ts'

export const BYTES = Buffer.from('the bytes of a model that nobody elsewhere may see')
export const DIGEST = `sha256:${createHash('sha256').update(BYTES).digest('hex')}`
const OTHER_DIGEST = `sha256:${createHash('sha256').update('other').digest('hex')}`
export const SECRET = 'hidden-from-elsewhere'

const named = { ref: { case: 'name' as const, value: { model: SECRET } } }
const firstVersion = { ref: { case: 'name' as const, value: { model: SECRET, number: 1 } } }
const ON_PROMOTIONS = ['Approve', 'Reject', 'Withdraw', 'Get']
const ON_GATES = ['Get', 'Update', 'Delete']

/** Texts for the fields of a request, keyed by field name; they name existing resources. */
export async function makeSecrets(all: AllServices): Promise<Record<string, string>> {
  const { model, version, digest } = await makeVersion(all)
  const upload = await all.client(UploadService, 'mk_admin').startUpload({ digest: OTHER_DIGEST, sizeBytes: 5n })
  const promotion = await makePromotion(all)
  return {
    namespace: 'default',
    model: SECRET,
    alias: 'production',
    alias_pattern: 'staging',
    expression: 'true',
    gate_id: await makeGate(all),
    digest: DIGEST,
    manifest_digest: digest,
    id: model,
    'GetEvaluationRequest.id': await makeEvaluation(all),
    'RevokeTokenRequest.id': await makeToken(all),
    'ReleaseHoldRequest.id': await makeHold(all),
    ...Object.fromEntries(ON_PROMOTIONS.map((name) => [`${name}PromotionRequest.id`, promotion])),
    ...Object.fromEntries(ON_GATES.map((name) => [`${name}GateRequest.name`, 'gate'])),
    version_id: version,
    event_id: await findEvent(all),
    report_digest: DIGEST,
    upload_id: upload.result.case === 'upload' ? upload.result.value.id : expect.unreachable(),
    principal: 'somebody',
    request_id: '',
    filter: '',
    order_by: '',
    page_token: '',
    etag: '',
    semver: '1.0.0',
    path: 'a.onnx',
    media_type: '',
  }
}

/** Creates a model with a version and an alias, and returns the ids. */
async function makeVersion(all: AllServices) {
  async function* upload() {
    yield { message: { case: 'header' as const, value: { digest: DIGEST, sizeBytes: BigInt(BYTES.length) } } }
    yield { message: { case: 'chunk' as const, value: BYTES } }
  }
  await all.client(BlobService, 'mk_admin').uploadBlob(upload())
  const files = [{ path: `${SECRET}.onnx`, digest: DIGEST, sizeBytes: BigInt(BYTES.length) }]
  const { manifest } = await all.client(ManifestService, 'mk_admin').createManifest({ files })
  const { digest } = manifest!
  const { model } = await all.client(ModelService, 'mk_admin').createModel({ name: SECRET, description: SECRET })
  const { version } = await all
    .client(VersionService, 'mk_admin')
    .createVersion({ model: named, manifestDigest: digest })
  const targets = [{ name: 'production', target: { case: 'number' as const, value: 1 } }]
  await all.client(AliasService, 'mk_admin').setAliases({ model: named, targets })
  return { model: model!.id, version: version!.id, digest }
}

async function makeGate(all: AllServices): Promise<string> {
  const rules = { aliasPattern: 'guarded', approvalsRequired: 1 }
  return (await all.client(GateService, 'mk_admin').createGate({ name: 'gate', rules })).gate!.id
}

/** Creates a promotion that waits for an approval. */
async function makePromotion(all: AllServices): Promise<string> {
  const rules = { aliasPattern: 'waits', approvalsRequired: 1 }
  await all.client(GateService, 'mk_admin').createGate({ name: 'waiting', rules })
  const request = { version: firstVersion, alias: 'waits', reason: 'better' }
  return (await all.client(PromotionService, 'mk_admin').requestPromotion(request)).promotion!.id
}

async function makeEvaluation(all: AllServices): Promise<string> {
  const request = { version: firstVersion, facts: { suite: 'smoke', verdict: Verdict.PASSED, summary: SECRET } }
  return (await all.client(EvaluationService, 'mk_admin').createEvaluation(request)).evaluation!.id
}

async function makeToken(all: AllServices): Promise<string> {
  const request = { principal: 'somebody', expireTime: timestampFromMs(Date.now() + 3_600_000) }
  return (await all.client(IdentityService, 'mk_admin').createToken(request)).token!.id
}

async function makeHold(all: AllServices): Promise<string> {
  const request = { subject: { case: 'namespace' as const, value: 'held' }, reason: 'asked for' }
  return (await all.client(PrivacyService, 'mk_admin').placeHold(request)).hold!.id
}

/** Returns the event of the model's creation. */
async function findEvent(all: AllServices): Promise<string> {
  const log = all.client(LogService, 'mk_admin')
  const find = async () => (await log.listEntries({ filter: 'type = "model.created.v1"' })).entries
  await pollUntil(async () => (await find()).length > 0)
  return (await find())[0]!.event!.id
}
