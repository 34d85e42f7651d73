// Builds the filter for the log entries about a model, version or alias. The model may have had other names before, and other
// models may have had its name.
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import type { LogEntry } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import { failUsage } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { takePages } from '../../terminal/pages.ts'
import { parseModelRef, parseRef, type Ref } from '../../arguments/refs.ts'
import { unary } from '../../connection/registry.ts'
import { gateCondition, findGatesOf, gatesHint } from './log-gates.ts'
import { resolveRef } from '../alias/resolve.ts'

/** The limit of a filter, less the parentheses and operators that the command adds. */
const MAX_FILTER_BYTES = 2048 - 16

export interface LogSubject {
  condition: string
  /** Whether the model exists now. The log may have entries about a deleted one. */
  exists: boolean
}

/** `reservedBytes`: the length of the user's own filter. `withFiles`: includes entries about the manifest of a version. */
export async function findSubject(
  context: Context,
  text: string,
  reservedBytes: number,
  withFiles: boolean,
): Promise<LogSubject> {
  const ref = parseRef(text, context.namespace)
  const model = await findModelOf(context, ref)
  if ('id' in ref && !model) return { condition: `resource.id = "${ref.id}"`, exists: false }
  const { selector } = 'id' in ref ? { selector: undefined } : ref
  const suffix = selector && (await suffixOf(context, text, selector))
  const namespace = model?.namespace ?? ('id' in ref ? '' : ref.namespace)
  const names = model ? await findNames(context, model) : [{ name: 'id' in ref ? '' : ref.model }]
  const conditions = names.map((name) => conditionOf(namespace, name, suffix))
  if (model && !suffix) conditions.push(`resource.id = "${model.id}"`)
  const files = suffix && withFiles && (await findManifest(context, text))
  if (files) conditions.push(`(resource.type = "manifest" AND resource.id = "${files}")`)
  // A gate may have the same name as the model.
  const own = `resource.type != "gate" AND (${conditions.join(' OR ')})`
  const fits = (condition: string): boolean => Buffer.byteLength(condition) + reservedBytes <= MAX_FILTER_BYTES
  const condition = `namespace = "${namespace}" AND ${own}`
  if (!fits(condition)) {
    failUsage(`"${text}" had too many names for one query`, 'Query one of them: --filter \'resource.name : "…"\'')
  }
  if (!model || suffix) return { condition, exists: false }
  const gates = await findGatesOf(context, model)
  const guarded = `namespace = "${namespace}" AND ((${own}) OR ${gateCondition(gates)})`
  const isWhole = gates.length === 0 || fits(guarded)
  if (!isWhole) context.note(`Too many gates for one query; see: ${gatesHint(namespace)}`)
  return { condition: gates.length > 0 && isWhole ? guarded : condition, exists: model.exists }
}

async function suffixOf(
  context: Context,
  text: string,
  selector: NonNullable<Exclude<Ref, { id: string }>['selector']>,
): Promise<string> {
  if (selector.case === 'number') return `:${selector.value}`
  if (selector.case === 'alias' && selector.value !== 'latest') return `@${selector.value}`
  return `:${(await resolveRef(context, text)).number}`
}

/** Returns the digest of the version's manifest; undefined if the version was deleted. */
async function findManifest(context: Context, text: string): Promise<string | undefined> {
  try {
    return (await resolveRef(context, text)).digest
  } catch (error) {
    if (!['VERSION_NOT_FOUND', 'ALIAS_NOT_FOUND'].includes(reasonOf(error)?.reason ?? '')) throw error
    return undefined
  }
}

interface KnownModel {
  id: string
  namespace: string
  name: string
  exists: boolean
}

/** Returns the current model, also for a former name, or a deleted model as the log last recorded it. */
async function findModelOf(context: Context, ref: Ref): Promise<KnownModel | undefined> {
  const registry = context.registry()
  const text = 'id' in ref ? ref.id : `${ref.namespace}/${ref.model}`
  try {
    const { model } = await registry.metadata(ModelService).getModel({ model: parseModelRef(text) }, unary(registry))
    const { id, namespace, name } = model!
    return { id, namespace, name, exists: true }
  } catch (error) {
    if (!['MODEL_NOT_FOUND', 'NAMESPACE_NOT_FOUND'].includes(reasonOf(error)?.reason ?? '')) throw error
  }
  const condition = `resource.type = "model" AND ${'id' in ref ? 'resource.id' : 'resource.name'} = "${text}"`
  const filter = `${condition} AND type != "access.denied.v1"`
  const { entries } = await registry.audit(LogService).listEntries({ filter, pageSize: 1 }, unary(registry))
  const resource = entries[0]?.event?.resource
  if (!resource) return undefined
  const { id, namespace, name } = resource
  return { id, namespace, name: name.slice(namespace.length + 1), exists: false }
}

interface Name {
  name: string
  /** The range of log entries in which the model had the name. A missing bound is unknown. */
  from?: bigint
  below?: bigint
}

/** Returns the names in order, each with the range in which the model had it: outside, another model may have had it. */
async function findNames(context: Context, { id, name, exists }: KnownModel): Promise<Name[]> {
  const turns = '(type = "model.created.v1" OR type = "model.renamed.v1")'
  const entries = await listOldestFirst(context, `resource.id = "${id}" AND ${turns}`)
  const names: Name[] = []
  for (const { event, index } of entries) {
    const { from, to } = event?.details ?? {}
    const last = names.at(-1)
    if (event?.type === 'model.created.v1') {
      names.push({ name: event.resource!.name.slice(event.resource!.namespace.length + 1), from: index })
    } else if (typeof from === 'string' && typeof to === 'string') {
      if (last) last.below = index
      else names.push({ name: from, below: index })
      names.push({ name: to, from: index })
    }
  }
  // The log may lag behind, and a deleted model may have been found by a former name.
  if (names.length === 0 || (exists && names.at(-1)!.name !== name)) names.push({ name })
  return names
}

async function listOldestFirst(context: Context, filter: string): Promise<LogEntry[]> {
  const registry = context.registry()
  const { items } = await takePages(Infinity, async (page) => {
    const answer = await registry.audit(LogService).listEntries({ filter, ...page }, unary(registry))
    return { items: answer.entries, nextPageToken: answer.nextPageToken }
  })
  return items.toReversed()
}

/** The characters `:` to `@` sort before `A`: the range from `name:` to `nameA` covers the versions and aliases of the model, but no
 * other name. */
function conditionOf(namespace: string, { name, from, below }: Name, suffix: string | undefined): string {
  const full = `${namespace}/${name}`
  const named =
    suffix === undefined
      ? `(resource.name = "${full}" OR (resource.name >= "${full}:" AND resource.name < "${full}A"))`
      : `resource.name = "${full}${suffix}"`
  const start = from === undefined ? '' : ` AND index >= ${from}`
  const end = below === undefined ? '' : ` AND index < ${below}`
  return `(${named}${start}${end})`
}
