// gate create, update, delete.
import { randomUUID } from 'node:crypto'
import { GateSchema, type Gate } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { GateService } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { failUsage } from '../../terminal/cli-error.ts'
import { confirm } from '../../terminal/confirm.ts'
import type { Context } from '../../context.ts'
import { facts, jsonOf } from '../../terminal/output.ts'
import { parseModelRef } from '../../arguments/refs.ts'
import { unary } from '../../connection/registry.ts'
import { parseGateName } from './gate-name.ts'
import { hasRules, readRules, ruleRows, type RuleOptions } from './gate-rules.ts'

interface Why {
  reason?: string
}

export async function createGate(
  context: Context,
  text: string,
  { model, reason = '', ...options }: RuleOptions & Why & { model?: string },
): Promise<void> {
  const { namespace, name } = parseGateName(context, text)
  if (options.alias === undefined && options.file === undefined) {
    failUsage('alias pattern is missing; add --alias', 'For example: --alias production')
  }
  // With a model, its namespace is the gate's.
  const where = model === undefined ? { namespace } : { model: parseModelRef(model, namespace) }
  const rules = await readRules(options)
  const registry = context.registry()
  const request = { ...where, name, rules, reason, requestId: randomUUID() }
  const { gate } = await registry.metadata(GateService).createGate(request, unary(registry))
  tell(context, gate!, 'guards')
}

export async function updateGate(
  context: Context,
  text: string,
  { reason = '', ...options }: RuleOptions & Why,
): Promise<void> {
  const name = parseGateName(context, text)
  if (!hasRules(options)) failUsage('nothing to change; pass at least one option', 'See: modelkeep gate update --help')
  const registry = context.registry()
  const gates = registry.metadata(GateService)
  const { gate: before } = await gates.getGate(name, unary(registry))
  const rules = await readRules(options, before!.rules)
  const request = { ...name, rules, etag: before!.etag, reason, requestId: randomUUID() }
  const { gate } = await gates.updateGate(request, unary(registry))
  tell(context, gate!, 'changed')
}

export async function deleteGate(context: Context, text: string, options: Why & { yes?: boolean }): Promise<void> {
  const name = parseGateName(context, text)
  await confirm(`delete gate ${text}, after which its aliases move freely`, options.yes ?? false)
  const registry = context.registry()
  const request = { ...name, reason: options.reason ?? '', requestId: randomUUID() }
  await registry.metadata(GateService).deleteGate(request, unary(registry))
  if (context.output.json) return context.output.document({ deleted: text })
  context.output.write(`deleted gate ${text}`)
}

function tell({ output }: Context, gate: Gate, did: 'guards' | 'changed'): void {
  if (output.json) return output.document(jsonOf(GateSchema, gate))
  const whose = gate.model === '' ? `all models of ${gate.namespace}` : `${gate.namespace}/${gate.model}`
  const what = did === 'guards' ? `guards aliases of ${whose}` : `is at revision ${gate.revision}`
  output.write(`${gate.namespace}/${gate.name} ${what}\n${facts(ruleRows(gate.rules))}`)
}
