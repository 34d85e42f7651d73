// The one change that calls another service: the manifest is retained first, then the version is inserted. If the
// version is not inserted, its manifest is released again, also after a crash.
import { create, toBinary, toJson } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import { ParentRelation, VersionFactsSchema } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
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
import { violatedConstraint, translateFault } from '#lib/store/faults.ts'
import { outboxRow } from '#lib/store/outbox.ts'
import { answerOnce, findAnswer } from '#lib/store/requests.ts'
import { wordOf } from '#lib/values/words.ts'
import { parseFacts } from '../../domain/facts.ts'
import { parseLabels } from '../../domain/labels.ts'
import { parseSemver } from '../../domain/names.ts'
import { parseModelRef } from '../../domain/refs.ts'
import { MAX_DESCRIPTION_BYTES, parseDescription, parseText } from '../../domain/text.ts'
import { parseValue } from '../../domain/values.ts'
import { expediteRelease, finishRelease, scheduleRelease } from '../../store/versions/manifest-release.ts'
import { findModelHead, type ModelHead } from '../../store/models/find-model.ts'
import { findDuplicate, findNamespacesOfVersions, insertVersion } from '../../store/versions/insert-version.ts'
import { authorizeModel, failNoModel, failNoVersion, requireActive } from '../../changes/checks.ts'
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
  const model = (await findModelHead(em, init.model)) ?? failNoModel(init.model)
  requireActive(model)
  await requireParents(em, context, init.parents)
  const id = uuidv7()
  const manifest = await retain(deps, context, { id, namespace: model.namespace, digest: init.digest })
  const version = { ...init, ...manifest, id, modelId: model.id, namespace: model.namespace, modelName: model.name }
  let isCreated = false
  try {
    const answer = await runOnce(deps, once, (tx) => insert(tx, context, version))
    isCreated = answer.version?.id === id
    return answer
  } catch (error) {
    throw await explain(em, context, version, error)
  } finally {
    if (!isCreated) await releaseManifest(deps, id)
  }
}

/** Without a request id, the statement that inserts the version is the whole transaction. */
async function runOnce(
  { database }: RegistryDeps,
  once: Parameters<typeof answerOnce<typeof CreateVersionRequestSchema, typeof CreateVersionResponseSchema>>[1],
  work: (em: EntityManager) => Promise<CreateVersionResponse>,
): Promise<CreateVersionResponse> {
  if (once.request.requestId !== '') return answerOnce(database, once, work)
  return work(forkFor(database, once.context.signal)).catch(translateFault)
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

type NewVersion = Omit<Init, 'model'> & {
  id: string
  modelId: string
  namespace: string
  modelName: string
  sizeBytes: bigint
  fileCount: number
}

async function insert(em: EntityManager, context: HandlerContext, init: NewVersion): Promise<CreateVersionResponse> {
  const facts = toJson(VersionFactsSchema, init.facts)
  const creator = accessOf(context).caller.principal
  // The statement adds the number, and the present name of the model.
  const unnumbered = { ...init, number: 0 }
  const event = outboxRow(context, {
    type: 'version.created.v1',
    resource: versionResource(unnumbered),
    afterDigest: versionDigest({ ...init, semver: init.semver || null, facts }),
    details: describe(unnumbered),
  })
  const version = { ...init, facts, metrics: init.facts.metrics, creator, event }
  const inserted = await insertVersion(em, version)
  if (!inserted) fail('CONFLICT', 'model or manifest has changed meanwhile; retry')
  const { createTime } = inserted
  return create(CreateVersionResponseSchema, {
    version: presentVersion({
      ...version,
      ...inserted,
      model: init.modelId,
      state: 'READY',
      sizeBytes: String(init.sizeBytes),
      updateTime: createTime,
      aliases: [],
      revision: 1,
    }),
  })
}

/** Returns the reason why the version could not be inserted, if the registry shows one, and else the error. */
async function explain(em: EntityManager, context: HandlerContext, init: NewVersion, error: unknown): Promise<unknown> {
  const isConflict = error instanceof ModelkeepError && error.reason === 'CONFLICT'
  if (!isConflict && violatedConstraint(error) === undefined) return error
  const model = (await findModelHead(em, { id: init.modelId })) ?? failNoModel({ id: init.modelId })
  requireActive(model)
  await requireNoDuplicate(em, model, init)
  await requireParents(em, context, init.parents)
  return isConflict
    ? error
    : new ModelkeepError('CONFLICT', 'registry has changed meanwhile; retry', {}, [], { cause: error })
}

async function requireNoDuplicate(em: EntityManager, model: ModelHead, { digest, semver }: NewVersion): Promise<void> {
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
function describe({ number, semver, digest, sizeBytes, facts }: NewVersion & { number: number }) {
  const { source, run, parents } = facts
  return {
    number,
    semver,
    digest,
    size_bytes: String(sizeBytes),
    source_repository: source?.repository ?? '',
    source_commit: source?.commit ?? '',
    source_dirty: source?.dirty ?? false,
    run_id: run?.id ?? '',
    parents: parents.map(({ versionId, relation }) => ({ id: versionId, relation: wordOf(ParentRelation, relation) })),
  }
}
