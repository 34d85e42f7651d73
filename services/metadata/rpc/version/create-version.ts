// The one change that calls another service: the manifest is retained first, then the version is inserted. If the
// version is not inserted, its manifest is released again, also after a crash.
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
import {
  cancelRelease,
  expediteRelease,
  finishRelease,
  scheduleRelease,
} from '../../store/versions/manifest-release.ts'
import { findModel } from '../../store/models/find-model.ts'
import type { Model } from '../../store/models/model.ts'
import { readVersion } from '../../store/versions/resolve-version.ts'
import { findDuplicate, findNamespacesOfVersions, insertVersion } from '../../store/versions/insert-version.ts'
import type { Version } from '../../store/versions/version.ts'
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
  const earlierAnswer = await findAnswer(em, once)
  if (earlierAnswer) return earlierAnswer
  const model = (await findModel(em, init.model)) ?? failNoModel(init.model)
  requireActive(model)
  const id = uuidv7()
  const manifest = await retain(deps, context, { id, namespace: model.namespace, digest: init.digest })
  let isCreated = false
  try {
    const answer = await answerOnce(deps.database, once, async (tx) => {
      const row = await insert(tx, context, { ...init, ...manifest, id, modelId: model.id })
      return create(CreateVersionResponseSchema, { version: presentVersion(row) })
    })
    isCreated = answer.version?.id === id
    return answer
  } finally {
    if (!isCreated) await releaseManifest(deps, id)
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

/** Retains the manifest, outside any transaction. Its release is scheduled first, and cancelled by the transaction that
 * inserts the version. */
async function retain(
  deps: RegistryDeps,
  context: HandlerContext,
  { id, namespace, digest }: { id: string; namespace: string; digest: string },
): Promise<{ sizeBytes: bigint; fileCount: number }> {
  await scheduleRelease(forkFor(deps.database, context.signal), { versionId: id, namespace, digest })
  try {
    const request = { namespace, digest, versionId: id }
    const manifest = await deps.manifests.retainManifest(request, { signal: context.signal })
    return { sizeBytes: manifest.totalSizeBytes, fileCount: manifest.fileCount }
  } catch (error) {
    const hasRetainedNothing = error instanceof ModelkeepError && error.reason === 'MANIFEST_NOT_FOUND'
    if (hasRetainedNothing) await finishRelease(forkFor(deps.database), id)
    else await releaseManifest(deps, id)
    throw error
  }
}

/** Best effort: the release job retries. */
async function releaseManifest({ database, releases }: RegistryDeps, id: string): Promise<void> {
  await expediteRelease(forkFor(database), id).catch(() => undefined)
  releases.wake()
}

type NewVersion = Omit<Init, 'model'> & { id: string; modelId: string; sizeBytes: bigint; fileCount: number }

async function insert(em: EntityManager, context: HandlerContext, init: NewVersion): Promise<Version> {
  const model = await requireModelLock(em, { id: init.modelId })
  requireActive(model)
  await requireNoDuplicate(em, model, init)
  await requireParents(em, context, init.parents)
  if (!(await cancelRelease(em, init.id))) fail('CONFLICT', 'call took too long to complete; retry')
  await insertVersion(em, {
    ...init,
    namespace: model.namespace,
    facts: toJson(VersionFactsSchema, init.facts),
    metrics: init.facts.metrics,
    creator: accessOf(context).caller.principal,
  })
  const version = (await readVersion(em, init.id))!
  emit(em, context, {
    type: 'version.created.v1',
    resource: versionResource(version),
    afterDigest: versionDigest(version),
    details: describe(version, init.facts),
  })
  return version
}

async function requireNoDuplicate(em: EntityManager, model: Model, { digest, semver }: NewVersion): Promise<void> {
  const duplicate = await findDuplicate(em, { modelId: model.id, digest, semver })
  if (!duplicate) return
  const number = String(duplicate.number)
  const name = `${model.namespace}/${model.name}:${number}`
  if (duplicate.digest === digest)
    fail('VERSION_EXISTS', `version "${name}" already has this manifest digest`, { number, id: duplicate.id })
  fail('SEMVER_EXISTS', `version "${name}" already has semver "${semver}"`, { semver, number })
}

/** Reports a parent that the caller may not read as not found. */
async function requireParents(em: EntityManager, context: HandlerContext, parents: string[]): Promise<void> {
  const namespaces = await findNamespacesOfVersions(em, parents)
  const { caller } = accessOf(context)
  for (const id of parents) {
    const namespace = namespaces.get(id)
    if (namespace === undefined || !holds(caller, Permission.READ, namespace)) failNoVersion({ id })
  }
}

/** The details of the event. They are bounded, because an event has at most 60,000 bytes of details. */
function describe({ number, semver, digest, sizeBytes }: Version, { source, run, parents }: VersionFacts) {
  return {
    number,
    semver: semver ?? '',
    digest,
    size_bytes: sizeBytes,
    source_repository: source?.repository ?? '',
    source_commit: source?.commit ?? '',
    source_dirty: source?.dirty ?? false,
    run_id: run?.id ?? '',
    parents: parents.map(({ versionId, relation }) => ({ id: versionId, relation: wordOf(ParentRelation, relation) })),
  }
}
