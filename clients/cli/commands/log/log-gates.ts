// The gates that the log knows of: those that guard or guarded a model, and how to ask for one by its name.
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import type { Context } from '../../context.ts'
import { takePages } from '../../terminal/pages.ts'
import { unary } from '../../connection/registry.ts'

const MADE = 'resource.type = "gate" AND type = "gate.created.v1"'

/** The UUIDs of the model's own gates and of those of its whole namespace, deleted ones, too. */
export async function findGatesOf(context: Context, model: { id: string; namespace: string }): Promise<string[]> {
  const registry = context.registry()
  const filter = `namespace = "${model.namespace}" AND ${MADE}`
  const { items } = await takePages(Infinity, async (page) => {
    const answer = await registry.audit(LogService).listEntries({ filter, ...page }, unary(registry))
    return { items: answer.entries, nextPageToken: answer.nextPageToken }
  })
  return items.flatMap(({ event }) => {
    const whose = event?.details?.['model_id']
    return event?.resource && (whose === '' || whose === model.id) ? [event.resource.id] : []
  })
}

export function anyGate(ids: string[]): string {
  return `(resource.type = "gate" AND (${ids.map((id) => `resource.id = "${id}"`).join(' OR ')}))`
}

export function gatesHint(namespace: string): string {
  return `modelkeep log --filter 'resource.type = "gate" AND namespace = "${namespace}"'`
}

const GATE = /^(?:[a-z0-9][a-z0-9-]{0,62}\/)?[a-z0-9][a-z0-9-]{0,62}$/

/** How to ask for a gate, where the log knows one of this name. */
export async function findGateQuestion(context: Context, text: string): Promise<string | undefined> {
  if (!GATE.test(text)) return undefined
  const registry = context.registry()
  const name = text.includes('/') ? text : `${context.namespace}/${text}`
  const filter = `resource.type = "gate" AND resource.name = "${name}"`
  const { entries } = await registry.audit(LogService).listEntries({ filter, pageSize: 1 }, unary(registry))
  return entries.length > 0 ? `modelkeep log --filter '${filter}'` : undefined
}
