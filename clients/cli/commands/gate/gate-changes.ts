// The commands gate create, update and delete.
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

interface ReasonOption {
  reason?: string
}

export async function createGate(
  context: Context,
  text: string,
  { model, reason = '', ...options }: RuleOptions & ReasonOption & { model?: string },
): Promise<void> {
  const { namespace, name } = parseGateName(context, text)
  if (options.alias === undefined && options.file === undefined) {
    failUsage('alias pattern is missing; add --alias', 'For example: --alias production')
  }
  // The gate of a model is in the namespace of that model.
  const where = model === undefined ? { namespace } : { model: parseModelRef(model, namespace) }
  const rules = await readRules(options)
  const registry = context.registry()
  const request = { ...where, name, rules, reason, requestId: randomUUID() }
  const { gate } = await registry.metadata(GateService).createGate(request, unary(registry))
  printGate(context, gate!, 'guards')
}

export async function updateGate(
  context: Context,
  text: string,
  { reason = '', ...options }: RuleOptions & ReasonOption,
): Promise<void> {
  const name = parseGateName(context, text)
  if (!hasRules(options)) failUsage('nothing to change; pass at least one option', 'See: modelkeep gate update --help')
  const registry = context.registry()
  const gates = registry.metadata(GateService)
  const { gate: before } = await gates.getGate(name, unary(registry))
  const rules = await readRules(options, before!.rules)
  const request = { ...name, rules, etag: before!.etag, reason, requestId: randomUUID() }
  const { gate } = await gates.updateGate(request, unary(registry))
  printGate(context, gate!, 'changed')
}

export async function deleteGate(
  context: Context,
  text: string,
  options: ReasonOption & { yes?: boolean },
): Promise<void> {
  const name = parseGateName(context, text)
  await confirm(`delete gate ${text}, after which its aliases move freely`, options.yes ?? false)
  const registry = context.registry()
  const request = { ...name, reason: options.reason ?? '', requestId: randomUUID() }
  await registry.metadata(GateService).deleteGate(request, unary(registry))
  if (context.output.json) return context.output.document({ deleted: text })
  context.output.write(`deleted gate ${text}`)
}

function printGate({ output }: Context, gate: Gate, change: 'guards' | 'changed'): void {
  if (output.json) return output.document(jsonOf(GateSchema, gate))
  const scope = gate.model === '' ? `all models of ${gate.namespace}` : `${gate.namespace}/${gate.model}`
  const what = change === 'guards' ? `guards aliases of ${scope}` : `is at revision ${gate.revision}`
  output.write(`${gate.namespace}/${gate.name} ${what}\n${facts(ruleRows(gate.rules))}`)
}
