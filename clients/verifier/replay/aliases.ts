// Aliases as the events tell of them: where they point, and that none moves past its gates.
import { findUnlisted, guardsOf } from './gates.ts'
import { describeEnd } from './promotions.ts'
import type { Judged } from './judged.ts'
import { aliasKey, type Gate, type Judge, type Registry } from './state.ts'
import { show, textOf } from '../export/values.ts'

/** It goes past no gate but by a promotion that was applied just for it. */
export const moveAlias: Judge = (event, registry) => {
  const guards = guardsOver(event, registry)
  const wrong = applyMove(event, registry)
  return wrong ?? findUngated(event, registry, guards)
}

/** Past all gates, by an admin. */
export const forceAlias: Judge = (event, registry) => {
  const guards = guardsOver(event, registry)
  const wrong = applyMove(event, registry)
  if (wrong) return wrong
  return guards.length === 0 ? 'no gate guarded the alias' : findUnlisted(event.details['gates'], guards)
}

/** Every move begins where the move before has ended. */
function applyMove(event: Judged, registry: Registry): string | undefined {
  const { index, name, digest, details, beforeDigest, afterDigest } = event
  const { from, to } = details
  const modelId = textOf(details['model_id'])
  const key = aliasKey(modelId, aliasOf(name))
  const before = registry.aliases.get(key)
  const number = typeof to === 'number' ? to : 0
  registry.aliases.set(key, { name, model: modelId, number, digest: afterDigest, movedAt: index })
  const model = registry.models.get(modelId)
  if (!model) return 'its model did not exist'
  if (name !== `${model.name}@${aliasOf(name)}`) return `its model was named ${model.name}`
  const was = before?.number ?? 0
  if (from !== was) return `moved from ${show(from)}, but the alias pointed at ${was}`
  if (beforeDigest !== (before?.digest ?? '')) return `the alias pointed at digest ${before?.digest ?? 'none'}`
  if (to === 0) return was === 0 ? 'removed, but the alias did not exist' : undefined
  const version = model.versions.get(number)
  if (!version) return `moved to version ${show(to)}, which did not exist`
  if (version.digest !== afterDigest) return `version ${number} had digest ${version.digest}`
  return digest === afterDigest ? undefined : `moved to ${afterDigest}, but the event names ${digest}`
}

function guardsOver({ name, details }: Judged, registry: Registry): Gate[] {
  const modelId = textOf(details['model_id'])
  const model = registry.models.get(modelId)
  return model ? guardsOf(registry, { namespace: model.namespace, modelId, alias: aliasOf(name) }) : []
}

/** Uses the promotion up that was applied for it. */
function findUngated(event: Judged, registry: Registry, guards: Gate[]): string | undefined {
  const { name, details } = event
  const id = details['promotion_id']
  if (id === undefined) {
    const names = guards.map((gate) => gate.name).join(', ')
    return guards.length === 0 ? undefined : `guarded by ${names}, but moved without a promotion`
  }
  const { applied } = registry
  if (applied?.id !== id)
    return `promotion ${textOf(id)} was not applied for this move: ${describeEnd(textOf(id), registry)}`
  registry.applied = undefined
  const { modelId, alias, number, principal } = applied
  if (event.principal !== principal) return `promotion ${applied.id} was applied by ${principal}`
  const isSame = details['model_id'] === modelId && aliasOf(name) === alias && details['to'] === number
  return isSame ? undefined : `promotion ${applied.id} was for version ${number} as ${alias}`
}

/** `fraud/scorer@live` is named `live`. */
function aliasOf(name: string): string {
  return name.slice(name.lastIndexOf('@') + 1)
}
