// Finds gates in the log: those that guard or guarded a model, and the query for a gate by its name.
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import type { Context } from '../../context.ts'
import { takePages } from '../../terminal/pages.ts'
import { unary } from '../../connection/registry.ts'

const CREATED = 'resource.type = "gate" AND type = "gate.created.v1"'

/** Returns the UUIDs of the gates of the model and of its whole namespace, including deleted gates. */
export async function findGatesOf(context: Context, model: { id: string; namespace: string }): Promise<string[]> {
  const registry = context.registry()
  const filter = `namespace = "${model.namespace}" AND ${CREATED}`
  const { items } = await takePages(Infinity, async (page) => {
    const answer = await registry.audit(LogService).listEntries({ filter, ...page }, unary(registry))
    return { items: answer.entries, nextPageToken: answer.nextPageToken }
  })
  return items.flatMap(({ event }) => {
    const modelId = event?.details?.['model_id']
    return event?.resource && (modelId === '' || modelId === model.id) ? [event.resource.id] : []
  })
}

export function gateCondition(ids: string[]): string {
  return `(resource.type = "gate" AND (${ids.map((id) => `resource.id = "${id}"`).join(' OR ')}))`
}

export function gatesHint(namespace: string): string {
  return `modelkeep log --filter 'resource.type = "gate" AND namespace = "${namespace}"'`
}

const GATE = /^(?:[a-z0-9][a-z0-9-]{0,62}\/)?[a-z0-9][a-z0-9-]{0,62}$/

/** Returns the command that shows a gate, if the log has a gate of this name. */
export async function findGateQuery(context: Context, text: string): Promise<string | undefined> {
  if (!GATE.test(text)) return undefined
  const registry = context.registry()
  const name = text.includes('/') ? text : `${context.namespace}/${text}`
  const filter = `resource.type = "gate" AND resource.name = "${name}"`
  const { entries } = await registry.audit(LogService).listEntries({ filter, pageSize: 1 }, unary(registry))
  return entries.length > 0 ? `modelkeep log --filter '${filter}'` : undefined
}
