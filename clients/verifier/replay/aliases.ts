// The rules of aliases: each move starts at the current version, and none bypasses its gates.
import { findUnlisted, gatesGuarding } from './gates.ts'
import { describeState } from './promotions.ts'
import type { ReplayEvent } from './replay-event.ts'
import { aliasKey, type Gate, type RuleCheck, type Registry } from './state.ts'
import { formatValue, textOf } from '../export/values.ts'

/** A guarded alias moves only by a promotion that the previous event applied. */
export const moveAlias: RuleCheck = (event, registry) => {
  const gates = gatesGuardingMove(event, registry)
  const problem = applyMove(event, registry)
  return problem ?? findUngated(event, registry, gates)
}

/** An admin moved the alias past its gates. */
export const forceAlias: RuleCheck = (event, registry) => {
  const gates = gatesGuardingMove(event, registry)
  const problem = applyMove(event, registry)
  if (problem) return problem
  return gates.length === 0 ? 'no gate guarded the alias' : findUnlisted(event.details['gates'], gates)
}

/** Every move starts where the previous one ended. */
function applyMove(event: ReplayEvent, registry: Registry): string | undefined {
  const { index, name, digest, details, beforeDigest, afterDigest } = event
  const { from, to } = details
  const modelId = textOf(details['model_id'])
  const key = aliasKey(modelId, aliasOf(name))
  const before = registry.aliases.get(key)
  const number = typeof to === 'number' ? to : 0
  registry.aliases.set(key, { name, modelId, number, digest: afterDigest, movedAt: index })
  const model = registry.models.get(modelId)
  if (!model) return 'its model did not exist'
  if (name !== `${model.name}@${aliasOf(name)}`) return `its model was named ${model.name}`
  const current = before?.number ?? 0
  if (from !== current) return `moved from ${formatValue(from)}, but the alias pointed at ${current}`
  if (beforeDigest !== (before?.digest ?? '')) return `the alias pointed at digest ${before?.digest ?? 'none'}`
  if (to === 0) return current === 0 ? 'removed, but the alias did not exist' : undefined
  const version = model.versions.get(number)
  if (!version) return `moved to version ${formatValue(to)}, which did not exist`
  if (version.digest !== afterDigest) return `version ${number} had digest ${version.digest}`
  return digest === afterDigest ? undefined : `moved to ${afterDigest}, but the event names ${digest}`
}

function gatesGuardingMove({ name, details }: ReplayEvent, registry: Registry): Gate[] {
  const modelId = textOf(details['model_id'])
  const model = registry.models.get(modelId)
  return model ? gatesGuarding(registry, { namespace: model.namespace, modelId, alias: aliasOf(name) }) : []
}

/** A guarded move must consume the applied promotion, and match it. */
function findUngated(event: ReplayEvent, registry: Registry, gates: Gate[]): string | undefined {
  const { name, details } = event
  const id = details['promotion_id']
  if (id === undefined) {
    const names = gates.map((gate) => gate.name).join(', ')
    return gates.length === 0 ? undefined : `guarded by ${names}, but moved without a promotion`
  }
  const { applied } = registry
  if (applied?.id !== id)
    return `promotion ${textOf(id)} was not applied for this move: ${describeState(textOf(id), registry)}`
  registry.applied = undefined
  const { modelId, alias, number, principal } = applied
  if (event.principal !== principal) return `promotion ${applied.id} was applied by ${principal}`
  const isSame = details['model_id'] === modelId && aliasOf(name) === alias && details['to'] === number
  return isSame ? undefined : `promotion ${applied.id} was for version ${number} as ${alias}`
}

/** The alias in a full name: `live` in `fraud/scorer@live`. */
function aliasOf(name: string): string {
  return name.slice(name.lastIndexOf('@') + 1)
}
