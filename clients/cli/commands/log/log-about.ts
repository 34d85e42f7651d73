// The filter that finds everything the log has about a model, version or alias: a model had other names before, and
// other models may have had its name.
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import type { LogEntry } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import { failUsage } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { takePages } from '../../terminal/pages.ts'
import { parseModelRef, parseRef, type Ref } from '../../arguments/refs.ts'
import { unary } from '../../connection/registry.ts'
import { anyGate, findGatesOf, gatesHint } from './log-gates.ts'
import { resolveRef } from '../alias/resolve.ts'

/** What a filter may have, less what the command adds around it. */
const MAX_FILTER_BYTES = 2048 - 16

export interface About {
  condition: string
  /** False when there is no such thing now; the log may know of it all the same. */
  exists: boolean
}

/** `withFiles`: of a version also who made and read its list of files. */
export async function findAbout(context: Context, text: string, room: number, withFiles: boolean): Promise<About> {
  const ref = parseRef(text, context.namespace)
  const model = await findModelOf(context, ref)
  if ('id' in ref && !model) return { condition: `resource.id = "${ref.id}"`, exists: false }
  const { selector } = 'id' in ref ? { selector: undefined } : ref
  const suffix = selector && (await suffixOf(context, text, selector))
  const namespace = model?.namespace ?? ('id' in ref ? '' : ref.namespace)
  const names = model ? await findNames(context, model) : [{ name: 'id' in ref ? '' : ref.model }]
  const conditions = names.map((name) => conditionOf(namespace, name, suffix))
  if (model && !suffix) conditions.push(`resource.id = "${model.id}"`)
  const files = suffix && withFiles && (await findFiles(context, text))
  if (files) conditions.push(`(resource.type = "manifest" AND resource.id = "${files}")`)
  // A gate may be called as a model is.
  const own = `resource.type != "gate" AND (${conditions.join(' OR ')})`
  const fits = (condition: string): boolean => Buffer.byteLength(condition) + room <= MAX_FILTER_BYTES
  const condition = `namespace = "${namespace}" AND ${own}`
  if (!fits(condition)) {
    failUsage(`"${text}" had too many names for one query`, 'Query one of them: --filter \'resource.name : "…"\'')
  }
  if (!model || suffix) return { condition, exists: false }
  const gates = await findGatesOf(context, model)
  const guarded = `namespace = "${namespace}" AND ((${own}) OR ${anyGate(gates)})`
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

/** The digest of the version's list of files; undefined where the version is no more. */
async function findFiles(context: Context, text: string): Promise<string | undefined> {
  try {
    return (await resolveRef(context, text)).digest
  } catch (error) {
    if (!['VERSION_NOT_FOUND', 'ALIAS_NOT_FOUND'].includes(reasonOf(error)?.reason ?? '')) throw error
    return undefined
  }
}

interface Known {
  id: string
  namespace: string
  name: string
  exists: boolean
}

/** The model as it is now, found also by a former name; a deleted one as the log last had it. */
async function findModelOf(context: Context, ref: Ref): Promise<Known | undefined> {
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
  /** The entries of the log during which the model had it; open where it is not known. */
  from?: bigint
  below?: bigint
}

/** The names in turn, each with the time it was the model's: before and after, another model may have had it. */
async function findNames(context: Context, { id, name, exists }: Known): Promise<Name[]> {
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
  // The log takes an event a moment later. A deleted model may have been asked for by a former name.
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

/** `:` to `@` are the only signs after a model's name, and no letter or digit comes between them. */
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
