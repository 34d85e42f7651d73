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
  return guards.length === 0 ? 'no gate guarded it' : findUnlisted(event.details['gates'], guards)
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
  if (!model) return 'its model was not there'
  if (name !== `${model.name}@${aliasOf(name)}`) return `its model was ${model.name}`
  const was = before?.number ?? 0
  if (from !== was) return `it was moved from ${show(from)}, but pointed at ${was}`
  if (beforeDigest !== (before?.digest ?? '')) return `what it pointed at had the digest ${before?.digest ?? ''}`
  if (to === 0) return was === 0 ? 'it was removed, but was not there' : undefined
  const version = model.versions.get(number)
  if (!version) return `it was moved to version ${show(to)}, which was not there`
  if (version.digest !== afterDigest) return `version ${number} had the digest ${version.digest}`
  return digest === afterDigest ? undefined : `it was moved to ${afterDigest}, but is told of ${digest}`
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
    return guards.length === 0 ? undefined : `it is guarded by ${names}, and no promotion moved it`
  }
  const { applied } = registry
  if (applied?.id !== id)
    return `the promotion ${textOf(id)} was not applied for it: ${describeEnd(textOf(id), registry)}`
  registry.applied = undefined
  const { modelId, alias, number, principal } = applied
  if (event.principal !== principal) return `the promotion ${applied.id} was applied by ${principal}`
  const isSame = details['model_id'] === modelId && aliasOf(name) === alias && details['to'] === number
  return isSame ? undefined : `the promotion ${applied.id} was for version ${number} as ${alias}`
}

/** `fraud/scorer@live` is named `live`. */
function aliasOf(name: string): string {
  return name.slice(name.lastIndexOf('@') + 1)
}
