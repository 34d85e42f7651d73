// The commands gate show, list and history.
import { GateRevisionSchema, GateSchema, type Gate, type GateRevision } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { GateService } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { isUuid } from '#lib/values/ids.ts'
import type { Context } from '../../context.ts'
import { facts, jsonOf, table, time } from '../../terminal/output.ts'
import { readLimit, takePages, printMoreHint, type LimitOptions } from '../../terminal/pages.ts'
import { requireNamespace, unary } from '../../connection/registry.ts'
import { parseGateName } from './gate-name.ts'
import { ruleRows } from './gate-rules.ts'

export async function showGate(context: Context, text: string): Promise<void> {
  const { output } = context
  const gate = await findGate(context, text)
  if (output.json) return output.document(jsonOf(GateSchema, gate))
  output.write(facts(gateRows(gate)))
}

async function findGate(context: Context, text: string): Promise<Gate> {
  const registry = context.registry()
  return (await registry.metadata(GateService).getGate(parseGateName(context, text), unary(registry))).gate!
}

function gateRows(gate: Gate): [string, string][] {
  return [
    ['gate', `${gate.namespace}/${gate.name}`],
    ['id', gate.id],
    ['of', scopeOf(gate)],
    ...ruleRows(gate.rules),
    ['revision', String(gate.revision)],
    ['created', `${time(gate.createTime)} by ${gate.creator}`],
    ['changed', time(gate.updateTime)],
  ]
}

function scopeOf({ model, namespace }: Gate): string {
  return model === '' ? `all models of ${namespace}` : `${namespace}/${model}`
}

export async function listGates(context: Context): Promise<void> {
  const { namespace, output } = context
  const registry = context.registry()
  const { items } = await takePages(Infinity, async (page) => {
    const answer = await registry.metadata(GateService).listGates({ namespace, ...page }, unary(registry))
    return { items: answer.gates, nextPageToken: answer.nextPageToken }
  })
  if (items.length === 0) await requireNamespace(registry, namespace)
  if (output.json) return output.document({ gates: items.map((gate) => jsonOf(GateSchema, gate)) })
  const rows = items.map((gate) => [
    gate.name,
    scopeOf(gate),
    `@${gate.rules?.aliasPattern}`,
    String(gate.rules?.conditions.length ?? 0),
    String(gate.rules?.approvalsRequired ?? 0),
    String(gate.revision),
    time(gate.updateTime),
  ])
  const head = ['GATE', 'OF', 'GUARDS', 'CONDITIONS', 'APPROVALS', 'REVISION', 'CHANGED']
  output.write(rows.length > 0 ? table(head, rows) : 'no gates')
}

export async function showGateHistory(context: Context, text: string, options: LimitOptions): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const gateId = isUuid(text) ? text : (await findGate(context, text)).id
  const { items, hasMore } = await takePages(readLimit(options), async (page) => {
    const answer = await registry.metadata(GateService).listGateRevisions({ gateId, ...page }, unary(registry))
    return { items: answer.revisions, nextPageToken: answer.nextPageToken }
  })
  if (output.json) {
    return output.document({ revisions: items.map((item) => jsonOf(GateRevisionSchema, item)), hasMore })
  }
  output.write(items.map((item) => facts(revisionRows(item))).join('\n\n'))
  printMoreHint(context, hasMore)
}

function revisionRows({ revision, changer, changeTime, reason, rules }: GateRevision): [string, string][] {
  return [
    ['revision', String(revision)],
    ['changed', `${time(changeTime)} by ${changer}`],
    ['why', reason],
    ...ruleRows(rules),
  ]
}
