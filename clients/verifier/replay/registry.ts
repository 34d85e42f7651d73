// The rules of models and versions.
import { gatesOf } from './gates.ts'
import type { ReplayEvent } from './replay-event.ts'
import type { RuleCheck, Model, Registry } from './state.ts'
import { formatValue } from '../export/values.ts'

export const createModel: RuleCheck = ({ id, namespace, name }, { models, names }) => {
  if (models.has(id)) return 'it already existed'
  if (names.has(name)) return `model ${name} already existed`
  models.set(id, { namespace, name, lastNumber: 0, versions: new Map() })
  names.set(name, id)
}

export const renameModel: RuleCheck = ({ id, namespace, name }, { models, names }) => {
  const model = models.get(id)
  if (!model) return 'it did not exist'
  names.delete(model.name)
  model.name = name
  names.set(name, id)
  return model.namespace === namespace ? undefined : `its namespace was ${model.namespace}`
}

export const changeModel: RuleCheck = ({ id, name }, { models }) => {
  const model = models.get(id)
  if (!model) return 'it did not exist'
  return model.name === name ? undefined : `its name was ${model.name}`
}

export const deleteModel: RuleCheck = (event, registry, access) => {
  const { id, details } = event
  const { models, names, aliases } = registry
  const model = models.get(id)
  if (!model) return 'it did not exist'
  const problem = changeModel(event, registry, access)
  models.delete(id)
  names.delete(model.name)
  if (problem) return problem
  for (const [key, alias] of aliases) {
    if (alias.modelId !== id) continue
    if (alias.number !== 0) return `alias ${alias.name} pointed at one of its versions`
    aliases.delete(key)
  }
  const gate = gatesOf(registry, model.namespace).find(({ modelId }) => modelId === id)
  if (gate) return `gate ${gate.name} guarded its aliases`
  const last = details['latest_number']
  return last === model.lastNumber || event.erased !== ''
    ? undefined
    : `its last version was ${model.lastNumber}, not ${formatValue(last)}`
}

export const createVersion: RuleCheck = (event, registry) => {
  const { name, number } = parseName(event)
  const model = registry.models.get(registry.names.get(name) ?? '')
  if (!model) return `model ${name} did not exist`
  const next = model.lastNumber + 1
  model.lastNumber = Math.max(model.lastNumber, number)
  model.versions.set(number, { digest: event.digest, creator: event.principal })
  return number === next ? undefined : `its number must be ${next}: numbers are dense and never reused`
}

export const changeVersion: RuleCheck = (event, registry) => {
  return findVersion(event, registry) ? undefined : 'it did not exist'
}

export const checkEvaluation: RuleCheck = (event, registry) => {
  const version = findVersion(event, registry)?.versions.get(parseName(event).number)
  if (!version) return 'the version did not exist'
  return version.digest === event.digest ? undefined : `the version had digest ${version.digest}`
}

export const deleteVersion: RuleCheck = (event, registry) => {
  const model = findVersion(event, registry)
  if (!model) return 'it did not exist'
  const { name, number } = parseName(event)
  model.versions.delete(number)
  const id = registry.names.get(name)
  const alias = [...registry.aliases.values()].find((found) => found.modelId === id && found.number === number)
  return alias && `alias ${alias.name} pointed at it`
}

export const deleteNamespace: RuleCheck = ({ namespace }, registry) => {
  const model = [...registry.models.values()].find((found) => found.namespace === namespace)
  if (model) return `it still contained model ${model.name}`
  const [gate] = gatesOf(registry, namespace)
  return gate && `it still contained gate ${gate.name}`
}

function findVersion(event: ReplayEvent, { models, names }: Registry): Model | undefined {
  const { name, number } = parseName(event)
  const model = models.get(names.get(name) ?? '')
  return model?.versions.has(number) ? model : undefined
}

/** Splits the name of a version, such as `fraud/scorer:7`. */
function parseName({ name }: ReplayEvent): { name: string; number: number } {
  const end = name.lastIndexOf(':')
  return { name: name.slice(0, end), number: Number(name.slice(end + 1)) }
}
