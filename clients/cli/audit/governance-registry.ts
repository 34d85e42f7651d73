// Models, versions and aliases as the events tell of them. Each rule applies an event and says what is wrong with it.
import type { LeafEvent } from './event.ts'

interface Model {
  name: string
  lastNumber: number
  /** Digest by number, of those that were not deleted. */
  versions: Map<number, unknown>
}

interface Alias {
  name: unknown
  model: unknown
  number: number
  digest: unknown
}

export interface Registry {
  models: Map<unknown, Model>
  /** Ids by the name as people write it. */
  names: Map<string, unknown>
  aliases: Map<unknown, Alias>
}

export type Judge = (event: LeafEvent, registry: Registry) => string | undefined

export function noModels(): Registry {
  return { models: new Map(), names: new Map(), aliases: new Map() }
}

export const createModel: Judge = ({ resource }, { models, names }) => {
  const name = String(resource?.name)
  if (models.has(resource?.id)) return 'it was there already'
  if (names.has(name)) return `there was a model ${name} already`
  models.set(resource?.id, { name, lastNumber: 0, versions: new Map() })
  names.set(name, resource?.id)
}

export const renameModel: Judge = ({ resource }, { models, names }) => {
  const model = models.get(resource?.id)
  if (!model) return 'it was not there'
  names.delete(model.name)
  model.name = String(resource?.name)
  names.set(model.name, resource?.id)
}

export const changeModel: Judge = ({ resource }, { models }) => {
  return models.has(resource?.id) ? undefined : 'it was not there'
}

export const deleteModel: Judge = ({ resource, details }, { models, names, aliases }) => {
  const model = models.get(resource?.id)
  if (!model) return 'it was not there'
  models.delete(resource?.id)
  names.delete(model.name)
  const alias = [...aliases.values()].find((found) => found.model === resource?.id)
  if (alias) return `the alias ${String(alias.name)} pointed at a version of it`
  const last = details?.['latest_number']
  return last === model.lastNumber ? undefined : `its last version was ${model.lastNumber}, and not ${String(last)}`
}

export const createVersion: Judge = (event, registry) => {
  const { name, number } = nameOf(event)
  const model = registry.models.get(registry.names.get(name))
  if (!model) return `there was no model ${name}`
  const next = model.lastNumber + 1
  model.lastNumber = Math.max(model.lastNumber, number)
  model.versions.set(number, event.resource?.digest)
  return number === next ? undefined : `its number should be ${next}: numbers are dense and never used again`
}

export const changeVersion: Judge = (event, registry) => {
  return findVersion(event, registry) ? undefined : 'it was not there'
}

export const deleteVersion: Judge = (event, registry) => {
  const model = findVersion(event, registry)
  if (!model) return 'it was not there'
  const { name, number } = nameOf(event)
  model.versions.delete(number)
  const id = registry.names.get(name)
  const alias = [...registry.aliases.values()].find((found) => found.model === id && found.number === number)
  return alias && `the alias ${String(alias.name)} pointed at it`
}

/** Every move begins where the move before has ended. */
export const moveAlias: Judge = ({ resource, details, beforeDigest, afterDigest }, { models, aliases }) => {
  const { from, to, model_id: modelId } = details ?? {}
  const before = aliases.get(resource?.id)
  const model = models.get(modelId)
  if (typeof to !== 'number' || to === 0) aliases.delete(resource?.id)
  else aliases.set(resource?.id, { name: resource?.name, model: modelId, number: to, digest: afterDigest })
  if (!model) return 'its model was not there'
  const was = before?.number ?? 0
  if (from !== was) return `it was moved from ${String(from)}, but pointed at ${was}`
  if (beforeDigest !== before?.digest) return `what it pointed at had the digest ${String(before?.digest)}`
  if (to === 0) return before ? undefined : 'it was removed, but was not there'
  if (!model.versions.has(Number(to))) return `it was moved to version ${String(to)}, which was not there`
  const digest = model.versions.get(Number(to))
  return digest === afterDigest ? undefined : `version ${String(to)} had the digest ${String(digest)}`
}

export const deleteNamespace: Judge = ({ resource }, { models }) => {
  const prefix = `${String(resource?.namespace)}/`
  const model = [...models.values()].find(({ name }) => name.startsWith(prefix))
  return model && `the model ${model.name} was in it`
}

function findVersion(event: LeafEvent, { models, names }: Registry): Model | undefined {
  const { name, number } = nameOf(event)
  const model = models.get(names.get(name))
  return model?.versions.has(number) ? model : undefined
}

/** A version's resource is named `fraud/scorer:7`. */
function nameOf({ resource }: LeafEvent): { name: string; number: number } {
  const text = String(resource?.name)
  const end = text.lastIndexOf(':')
  return { name: text.slice(0, end), number: Number(text.slice(end + 1)) }
}
