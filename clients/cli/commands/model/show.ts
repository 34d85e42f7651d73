// The command show shows a model or a version with its facts, files and evaluations.
import { ManifestFileSchema } from '#gen/modelkeep/artifact/v1/manifest_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { EvaluationSchema } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { EvaluationService } from '#gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { ModelSchema, ModelStateSchema, type Model } from '#gen/modelkeep/metadata/v1/model_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { VersionSchema, VersionStateSchema, type Version } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import type { Context } from '../../context.ts'
import { bytes, facts, jsonOf, plain, shortDigest, table, time, versionName, word } from '../../terminal/output.ts'
import { parseModelRef, parseRef } from '../../arguments/refs.ts'
import { forEach } from '../../transfer/concurrency.ts'
import { unary, type Registry } from '../../connection/registry.ts'
import { resolveRef } from '../alias/resolve.ts'
import { evaluationText, factRows, rows } from './show-facts.ts'

const FILES_SHOWN = 50
const PARENTS_AT_ONCE = 8
const EVALUATIONS_SHOWN = 10

export async function show(context: Context, text: string): Promise<void> {
  const ref = parseRef(text, context.namespace)
  if ('id' in ref && (await showIfVersion(context, text))) return
  if ('selector' in ref && ref.selector) return showVersion(context, text)
  await showModel(context, text)
}

async function showIfVersion(context: Context, id: string): Promise<boolean> {
  try {
    await showVersion(context, id)
    return true
  } catch (error) {
    if (reasonOf(error)?.reason === 'VERSION_NOT_FOUND') return false
    throw error
  }
}

async function showModel(context: Context, text: string): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const request = { model: parseModelRef(text, context.namespace) }
  const { model } = await registry.metadata(ModelService).getModel(request, unary(registry))
  if (output.json) return output.document(jsonOf(ModelSchema, model!))
  output.write(facts(modelRows(model!)))
  if (model!.description) output.write(`\n${plain(model!.description)}`)
}

function modelRows(model: Model): [string, string][] {
  const { aliases, labels, latestNumber, state } = model
  return [
    ['model', `${model.namespace}/${model.name}`],
    ['id', model.id],
    ['state', word(ModelStateSchema, state)],
    ['latest', latestNumber === 0 ? 'no versions yet' : `version ${latestNumber}`],
    ['aliases', aliases.map(({ name, number }) => `${name}→${number}`).join(', ')],
    ['owner', model.owner],
    ['labels', labelText(labels)],
    ['created', `${time(model.createTime)} by ${model.creator}`],
    ['changed', time(model.updateTime)],
  ]
}

async function showVersion(context: Context, text: string): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const version = await resolveRef(context, text)
  const { namespace, digest } = version
  const { manifest } = await registry.artifact(ManifestService).getManifest({ namespace, digest }, unary(registry))
  const files = manifest?.files ?? []
  const request = { version: { ref: { case: 'id' as const, value: version.id } }, pageSize: EVALUATIONS_SHOWN }
  const { evaluations } = await registry.metadata(EvaluationService).listEvaluations(request, unary(registry))
  if (output.json) {
    return output.document({
      version: jsonOf(VersionSchema, version),
      files: files.map((file) => jsonOf(ManifestFileSchema, file)),
      evaluations: evaluations.map((evaluation) => jsonOf(EvaluationSchema, evaluation)),
    })
  }
  const parents = await parentNames(registry, version)
  const evaluationRows = rows('evaluation', evaluations, evaluationText)
  output.write(facts([...versionRows(version), ...factRows(version.facts, parents), ...evaluationRows]))
  const fileRows = files
    .slice(0, FILES_SHOWN)
    .map((file) => [file.path, bytes(file.sizeBytes), shortDigest(file.digest)])
  output.write(`\n${table(['FILE', 'SIZE', 'DIGEST'], fileRows)}`)
  if (files.length > FILES_SHOWN) output.write(`… and ${files.length - FILES_SHOWN} more`)
  for (const words of [version.description, version.modelCard]) if (words) output.write(`\n${plain(words)}`)
}

/** Resolves the UUIDs of the parents to names. */
async function parentNames(registry: Registry, { facts: versionFacts }: Version): Promise<Map<string, string>> {
  const names = new Map<string, string>()
  await forEach(versionFacts?.parents ?? [], PARENTS_AT_ONCE, registry.signal, async ({ versionId }) => {
    const ref = { case: 'id' as const, value: versionId }
    const found = await registry
      .metadata(VersionService)
      .resolveVersion({ ref: { ref } }, unary(registry))
      .catch(() => {})
    if (found?.version) names.set(versionId, versionName(found.version))
  })
  return names
}

function versionRows(version: Version): [string, string][] {
  return [
    ['version', versionName(version)],
    ['id', version.id],
    ['digest', version.digest],
    ['state', word(VersionStateSchema, version.state)],
    ['semver', version.semver],
    ['aliases', version.aliases.join(', ')],
    ['size', `${bytes(version.sizeBytes)} in ${version.fileCount} ${version.fileCount === 1 ? 'file' : 'files'}`],
    ['created', `${time(version.createTime)} by ${version.creator}`],
    ['labels', labelText(version.labels)],
  ]
}

function labelText(labels: Record<string, string>): string {
  return Object.keys(labels)
    .toSorted()
    .map((key) => `${key}=${labels[key]}`)
    .join(', ')
}
