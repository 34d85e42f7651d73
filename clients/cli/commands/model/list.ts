// The command list shows models, the models of a namespace, or the versions of a model.
import { ModelSchema, ModelStateSchema, type Model } from '#gen/modelkeep/metadata/v1/model_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { NamespaceService } from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { VersionSchema, type Version } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import type { Context } from '../../context.ts'
import { bytes, jsonOf, shortDigest, table, time, word } from '../../terminal/output.ts'
import { readLimit, takePages, printMoreHint, type LimitOptions } from '../../terminal/pages.ts'
import { parseModelRef, type ModelRef } from '../../arguments/refs.ts'
import { requireNamespace, unary } from '../../connection/registry.ts'

interface ListOptions extends LimitOptions {
  filter?: string
  orderBy?: string
  namespace?: string
}

export async function list(context: Context, what: string | undefined, options: ListOptions): Promise<void> {
  if (what === undefined) return listModels(context, options.namespace ?? '', options)
  if (what.endsWith('/')) return listModels(context, what.slice(0, -1), options)
  const model = parseModelRef(what, context.namespace)
  if (await isNamespace(context, what, model)) return listModels(context, what, options)
  await listVersions(context, model, options)
}

/** A single word names a model of the default namespace, or else a namespace. */
async function isNamespace(context: Context, name: string, model: ModelRef): Promise<boolean> {
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) return false
  const registry = context.registry()
  try {
    await registry.metadata(ModelService).getModel({ model }, unary(registry))
    return false
  } catch (error) {
    if (!['MODEL_NOT_FOUND', 'NAMESPACE_NOT_FOUND'].includes(reasonOf(error)?.reason ?? '')) throw error
    return registry
      .metadata(NamespaceService)
      .getNamespace({ name }, unary(registry))
      .then(() => true)
      .catch(() => Promise.reject(error))
  }
}

async function listModels(context: Context, namespace: string, options: ListOptions): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const { items, hasMore } = await takePages(readLimit(options), async (page) => {
    const request = { namespace, filter: options.filter ?? '', orderBy: options.orderBy ?? '', ...page }
    const answer = await registry.metadata(ModelService).listModels(request, unary(registry))
    return { items: answer.models, nextPageToken: answer.nextPageToken }
  })
  if (items.length === 0 && namespace !== '') await requireNamespace(registry, namespace)
  if (output.json) return output.document({ models: items.map((model) => jsonOf(ModelSchema, model)), hasMore })
  if (items.length === 0) return output.write('no models')
  output.write(table(['MODEL', 'LATEST', 'ALIASES', 'OWNER', 'CREATED', 'STATE'], items.map(modelRow)))
  printMoreHint(context, hasMore)
}

function modelRow({ namespace, name, latestNumber, aliases, owner, createTime, state }: Model): string[] {
  return [
    `${namespace}/${name}`,
    latestNumber === 0 ? '–' : String(latestNumber),
    aliases.map((alias) => `${alias.name}→${alias.number}`).join(', '),
    owner,
    time(createTime),
    word(ModelStateSchema, state),
  ]
}

async function listVersions(context: Context, model: ModelRef, options: ListOptions): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const { items, hasMore } = await takePages(readLimit(options), async (page) => {
    const request = { model, filter: options.filter ?? '', orderBy: options.orderBy ?? '', ...page }
    const answer = await registry.metadata(VersionService).listVersions(request, unary(registry))
    return { items: answer.versions, nextPageToken: answer.nextPageToken }
  })
  if (output.json) return output.document({ versions: items.map((version) => jsonOf(VersionSchema, version)), hasMore })
  if (items.length === 0) return output.write('no versions')
  output.write(table(['VERSION', 'ALIASES', 'METRICS', 'SIZE', 'DIGEST', 'CREATED', 'BY'], items.map(versionRow)))
  printMoreHint(context, hasMore)
}

const METRICS_SHOWN = 3

function versionRow({ number, semver, aliases, facts, sizeBytes, digest, createTime, creator }: Version): string[] {
  const metrics = facts?.metrics ?? []
  const shown = metrics.slice(0, METRICS_SHOWN).map(({ name, value }) => `${name}=${value}`)
  return [
    semver === '' ? String(number) : `${number} (${semver})`,
    aliases.join(', '),
    [...shown, ...(metrics.length > METRICS_SHOWN ? ['…'] : [])].join(' '),
    bytes(sizeBytes),
    shortDigest(digest),
    time(createTime),
    creator,
  ]
}
