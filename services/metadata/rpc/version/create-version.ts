// The one change that involves a sister: bytes are retained first, then the version is written. What is retained for a
// version that does not come to be is let go again, whatever happens in between.
import { create, toBinary, toJson } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import { ParentRelation, VersionFactsSchema, type VersionFacts } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import {
  CreateVersionRequestSchema,
  CreateVersionResponseSchema,
  type CreateVersionRequest,
  type CreateVersionResponse,
} from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import { accessOf, holds } from '#lib/access/caller.ts'
import { fail, ModelkeepError } from '#lib/errors/errors.ts'
import { parseDigest } from '#lib/values/ids.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce, findAnswer } from '#lib/store/requests.ts'
import { wordOf } from '#lib/values/words.ts'
import { parseFacts } from '../../domain/facts.ts'
import { parseLabels } from '../../domain/labels.ts'
import { parseSemver } from '../../domain/names.ts'
import { parseModelRef } from '../../domain/refs.ts'
import { MAX_DESCRIPTION_BYTES, parseDescription, parseText } from '../../domain/text.ts'
import { parseValue } from '../../domain/values.ts'
import { finishRelease, foreseeRelease, hastenRelease, withdrawRelease } from '../../store/versions/manifest-release.ts'
import { findModel } from '../../store/models/find-model.ts'
import type { Model } from '../../store/models/model.ts'
import { findTwin, insertVersion } from '../../store/versions/version-changes.ts'
import { findNamespacesOfVersions, findVersionById, type VersionRow } from '../../store/versions/version-rows.ts'
import { authorizeModel, failNoModel, failNoVersion, requireActive, requireModelLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentVersion } from './present-version.ts'
import { versionResource } from '../../changes/resources.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { versionDigest } from '../../changes/state-digest.ts'

type Init = ReturnType<typeof parseInit>

export async function createVersion(
  deps: RegistryDeps,
  request: CreateVersionRequest,
  context: HandlerContext,
): Promise<CreateVersionResponse> {
  const answer = await createOnce(deps, request, context)
  await settleChange(deps.relay, context)
  return answer
}

async function createOnce(
  deps: RegistryDeps,
  request: CreateVersionRequest,
  context: HandlerContext,
): Promise<CreateVersionResponse> {
  const init = parseInit(request)
  const em = forkFor(deps.database, context.signal)
  await authorizeModel(em, context, init.model)
  const once = { context, request, input: CreateVersionRequestSchema, output: CreateVersionResponseSchema }
  const first = await findAnswer(em, once)
  if (first) return first
  const model = (await findModel(em, init.model)) ?? failNoModel(init.model)
  requireActive(model)
  const id = uuidv7()
  const manifest = await retain(deps, context, { id, namespace: model.namespace, digest: init.digest })
  let kept = false
  try {
    const answer = await answerOnce(deps.database, once, async (em) => {
      const row = await writeVersion(em, context, { ...init, ...manifest, id, modelId: model.id })
      return create(CreateVersionResponseSchema, { version: presentVersion(row) })
    })
    kept = answer.version?.id === id
    return answer
  } finally {
    if (!kept) await letGo(deps, id)
  }
}

function parseInit(request: CreateVersionRequest) {
  const facts = parseFacts(request.facts ?? create(VersionFactsSchema))
  const init = {
    model: parseModelRef(request.model, 'model'),
    digest: parseDigest(request.manifestDigest, 'manifest_digest'),
    semver: request.semver === '' ? '' : parseSemver(request.semver, 'semver'),
    parameters: Object.fromEntries(
      facts.parameters.map(({ name, value }) => [name, parseValue(value, 'facts.parameters')]),
    ),
    parents: facts.parents.map(({ versionId }) => versionId),
    description: parseDescription(request.description),
    labels: parseLabels(request.labels),
    modelCard: parseText(request.modelCard, 'model_card', MAX_DESCRIPTION_BYTES),
  }
  return { ...init, facts, messageBytes: toBinary(CreateVersionRequestSchema, request).length }
}

/** Outside any transaction. A note to let go is written first, and withdrawn with the version's own transaction. */
async function retain(
  deps: RegistryDeps,
  context: HandlerContext,
  { id, namespace, digest }: { id: string; namespace: string; digest: string },
): Promise<{ sizeBytes: bigint; fileCount: number }> {
  await foreseeRelease(forkFor(deps.database, context.signal), { version_id: id, namespace, digest })
  try {
    const request = { namespace, digest, versionId: id }
    const manifest = await deps.manifests.retainManifest(request, { signal: context.signal })
    return { sizeBytes: manifest.totalSizeBytes, fileCount: manifest.fileCount }
  } catch (error) {
    const isNothingRetained = error instanceof ModelkeepError && error.reason === 'MANIFEST_NOT_FOUND'
    if (isNothingRetained) await finishRelease(forkFor(deps.database), id)
    else await letGo(deps, id)
    throw error
  }
}

/** What fails here is done when the note falls due. */
async function letGo({ database, releases }: RegistryDeps, id: string): Promise<void> {
  await hastenRelease(forkFor(database), id).catch(() => undefined)
  releases.wake()
}

type NewVersion = Omit<Init, 'model'> & { id: string; modelId: string; sizeBytes: bigint; fileCount: number }

async function writeVersion(em: EntityManager, context: HandlerContext, init: NewVersion): Promise<VersionRow> {
  const model = await requireModelLock(em, { id: init.modelId })
  requireActive(model)
  await requireNoTwin(em, model, init)
  await requireParents(em, context, init.parents)
  if (!(await withdrawRelease(em, init.id))) fail('CONFLICT', 'call took too long to complete; retry')
  await insertVersion(em, {
    ...init,
    namespace: model.namespace,
    facts: toJson(VersionFactsSchema, init.facts),
    metrics: init.facts.metrics,
    creator: accessOf(context).caller.principal,
  })
  const row = (await findVersionById(em, init.id))!
  emit(em, context, {
    type: 'version.created.v1',
    resource: versionResource(row),
    afterDigest: versionDigest(row),
    details: describe(row, init.facts),
  })
  return row
}

async function requireNoTwin(em: EntityManager, model: Model, { digest, semver }: NewVersion): Promise<void> {
  const twin = await findTwin(em, { modelId: model.id, digest, semver })
  if (!twin) return
  const number = String(twin.number)
  const name = `${model.namespace}/${model.name}:${number}`
  if (twin.digest === digest)
    fail('VERSION_EXISTS', `version "${name}" already has this manifest digest`, { number, id: twin.id })
  fail('SEMVER_EXISTS', `version "${name}" already has semver "${semver}"`, { semver, number })
}

/** Whoever may not read a parent is told that it is not there. */
async function requireParents(em: EntityManager, context: HandlerContext, parents: string[]): Promise<void> {
  const namespaces = await findNamespacesOfVersions(em, parents)
  const { caller } = accessOf(context)
  for (const id of parents) {
    const namespace = namespaces.get(id)
    if (namespace === undefined || !holds(caller, Permission.READ, namespace)) failNoVersion({ id })
  }
}

/** Bounded: an event has room for 60,000 bytes. */
function describe(row: VersionRow, { source, run, parents }: VersionFacts) {
  return {
    number: row.number,
    semver: row.semver ?? '',
    digest: row.digest,
    size_bytes: row.size_bytes,
    source_repository: source?.repository ?? '',
    source_commit: source?.commit ?? '',
    source_dirty: source?.dirty ?? false,
    run_id: run?.id ?? '',
    parents: parents.map(({ versionId, relation }) => ({ id: versionId, relation: wordOf(ParentRelation, relation) })),
  }
}
