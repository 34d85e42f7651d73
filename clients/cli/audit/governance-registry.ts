// Models, versions and aliases as the events tell of them. Each rule applies an event and says what is wrong with it.
import { textOf, type Judged } from './judged.ts'

interface Model {
  name: string
  lastNumber: number
  /** Digest by number, of those that were not deleted. */
  versions: Map<number, string>
}

interface Alias {
  name: string
  model: string
  number: number
  digest: string
}

export interface Registry {
  models: Map<string, Model>
  /** Ids by the name as people write it. */
  names: Map<string, string>
  aliases: Map<string, Alias>
}

export type Judge = (event: Judged, registry: Registry) => string | undefined

export function noModels(): Registry {
  return { models: new Map(), names: new Map(), aliases: new Map() }
}

export const createModel: Judge = ({ id, name }, { models, names }) => {
  if (models.has(id)) return 'it was there already'
  if (names.has(name)) return `there was a model ${name} already`
  models.set(id, { name, lastNumber: 0, versions: new Map() })
  names.set(name, id)
}

export const renameModel: Judge = ({ id, name }, { models, names }) => {
  const model = models.get(id)
  if (!model) return 'it was not there'
  names.delete(model.name)
  model.name = name
  names.set(model.name, id)
}

export const changeModel: Judge = ({ id }, { models }) => {
  return models.has(id) ? undefined : 'it was not there'
}

export const deleteModel: Judge = ({ id, details }, { models, names, aliases }) => {
  const model = models.get(id)
  if (!model) return 'it was not there'
  models.delete(id)
  names.delete(model.name)
  const alias = [...aliases.values()].find((found) => found.model === id)
  if (alias) return `the alias ${alias.name} pointed at a version of it`
  const last = details['latest_number']
  return last === model.lastNumber ? undefined : `its last version was ${model.lastNumber}, and not ${String(last)}`
}

export const createVersion: Judge = (event, registry) => {
  const { name, number } = nameOf(event)
  const model = registry.models.get(registry.names.get(name) ?? '')
  if (!model) return `there was no model ${name}`
  const next = model.lastNumber + 1
  model.lastNumber = Math.max(model.lastNumber, number)
  model.versions.set(number, event.digest)
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
  return alias && `the alias ${alias.name} pointed at it`
}

/** Every move begins where the move before has ended. */
export const moveAlias: Judge = ({ id, name, details, beforeDigest, afterDigest }, { models, aliases }) => {
  const { from, to } = details
  const modelId = textOf(details['model_id'])
  const before = aliases.get(id)
  const model = models.get(modelId)
  if (typeof to !== 'number' || to === 0) aliases.delete(id)
  else aliases.set(id, { name, model: modelId, number: to, digest: afterDigest })
  if (!model) return 'its model was not there'
  const was = before?.number ?? 0
  if (from !== was) return `it was moved from ${String(from)}, but pointed at ${was}`
  if (beforeDigest !== (before?.digest ?? '')) return `what it pointed at had the digest ${before?.digest ?? ''}`
  if (to === 0) return before ? undefined : 'it was removed, but was not there'
  if (!model.versions.has(Number(to))) return `it was moved to version ${String(to)}, which was not there`
  const digest = model.versions.get(Number(to))
  return digest === afterDigest ? undefined : `version ${String(to)} had the digest ${digest}`
}

export const deleteNamespace: Judge = ({ namespace }, { models }) => {
  const prefix = `${namespace}/`
  const model = [...models.values()].find(({ name }) => name.startsWith(prefix))
  return model && `the model ${model.name} was in it`
}

function findVersion(event: Judged, { models, names }: Registry): Model | undefined {
  const { name, number } = nameOf(event)
  const model = models.get(names.get(name) ?? '')
  return model?.versions.has(number) ? model : undefined
}

/** A version's resource is named `fraud/scorer:7`. */
function nameOf({ name }: Judged): { name: string; number: number } {
  const end = name.lastIndexOf(':')
  return { name: name.slice(0, end), number: Number(name.slice(end + 1)) }
}
