// Validation of version facts: the source, run, data and parents of a version. Facts are immutable.
import type {
  Dataset,
  Dependency,
  Metric,
  Parameter,
  Parent,
  Run,
  Signature,
  Source,
  TensorSpec,
  VersionFacts,
} from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { failField, failLimit } from '#lib/errors/errors.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { parseLine, parseRequiredLine, parseText } from './text.ts'
import { parseTime } from './times.ts'
import { parseValue } from './values.ts'

const MAX_NAME = 255
const MAX_SHORT = 63
const MAX_URI_BYTES = 2048
const MAX_PATH_BYTES = 1024
const MAX_PARAMETERS = 1000
const MAX_METRICS = 1000
const MAX_DATASETS = 100
const MAX_PARENTS = 100
const MAX_TENSORS = 1000
const MAX_DEPENDENCIES = 1000
const MAX_DIMENSIONS = 32
const DATASET_ROLES = [0, 1, 2, 3]
const PARENT_RELATIONS = [1, 2, 3, 4]

export function parseFacts(facts: VersionFacts): VersionFacts {
  if (facts.source) checkSource(facts.source)
  if (facts.run) checkRun(facts.run)
  checkList(facts.parameters, 'facts.parameters', MAX_PARAMETERS, 'parameters', checkParameter)
  checkUnique(facts.parameters, 'facts.parameters', 'name', ({ name }) => [name])
  checkMetrics(facts.metrics, MAX_METRICS)
  checkList(facts.datasets, 'facts.datasets', MAX_DATASETS, 'datasets', checkDataset)
  checkUnique(facts.datasets, 'facts.datasets', 'name and role', ({ name, role }) => [name, String(role)])
  checkList(facts.parents, 'facts.parents', MAX_PARENTS, 'parents', checkParent)
  if (facts.signature) checkSignature(facts.signature)
  checkList(facts.dependencies, 'facts.dependencies', MAX_DEPENDENCIES, 'dependencies', checkDependency)
  parseLine(facts.license, 'facts.license', MAX_NAME)
  const parents = facts.parents.map((parent) => ({ ...parent, versionId: parent.versionId.toLowerCase() }))
  return { ...facts, parents }
}

function checkSource({ repository, commit, path }: Source): void {
  parseUri(repository, 'facts.source.repository')
  parseLine(commit, 'facts.source.commit', MAX_NAME)
  parseLine(parseText(path, 'facts.source.path', MAX_PATH_BYTES), 'facts.source.path', MAX_PATH_BYTES)
}

function checkRun(run: Run): void {
  parseLine(run.id, 'facts.run.id', MAX_NAME)
  parseUri(run.uri, 'facts.run.uri')
  parseLine(run.framework, 'facts.run.framework', MAX_NAME)
  parseLine(run.frameworkVersion, 'facts.run.framework_version', MAX_NAME)
  if (run.startTime) parseTime(run.startTime, 'facts.run.start_time')
  if (run.endTime) parseTime(run.endTime, 'facts.run.end_time')
  const { startTime, endTime } = run
  if (!startTime || !endTime) return
  const isBefore =
    endTime.seconds < startTime.seconds || (endTime.seconds === startTime.seconds && endTime.nanos < startTime.nanos)
  if (isBefore) failField('facts.run.end_time', 'must not be before facts.run.start_time')
}

function checkParameter({ name, value }: Parameter, field: string): void {
  parseRequiredLine(name, `${field}.name`, MAX_NAME)
  parseValue(value, `${field}.value`)
}

export function checkMetrics(metrics: Metric[], max: number): void {
  checkList(metrics, 'facts.metrics', max, 'metrics', checkMetric)
  checkUnique(metrics, 'facts.metrics', 'name, dataset and split', (it) => [it.name, it.dataset, it.split])
}

function checkMetric({ name, value, dataset, split }: Metric, field: string): void {
  parseRequiredLine(name, `${field}.name`, MAX_NAME)
  if (!Number.isFinite(value)) failField(`${field}.value`, 'must be finite')
  parseLine(dataset, `${field}.dataset`, MAX_NAME)
  parseLine(split, `${field}.split`, MAX_SHORT)
}

export function checkDataset({ name, uri, digest, role }: Dataset, field: string): void {
  parseRequiredLine(name, `${field}.name`, MAX_NAME)
  parseUri(uri, `${field}.uri`)
  parseLine(digest, `${field}.digest`, MAX_NAME)
  if (!DATASET_ROLES.includes(role)) failField(`${field}.role`, 'must be a known DatasetRole')
}

function checkParent({ versionId, relation }: Parent, field: string): void {
  parseUuid(versionId, `${field}.version_id`)
  if (!PARENT_RELATIONS.includes(relation))
    failField(`${field}.relation`, 'is required and must be a known ParentRelation')
}

function checkSignature({ inputs, outputs }: Signature): void {
  checkList(inputs, 'facts.signature.inputs', MAX_TENSORS, 'inputs', checkTensor)
  checkList(outputs, 'facts.signature.outputs', MAX_TENSORS, 'outputs', checkTensor)
}

function checkTensor({ name, dataType, shape }: TensorSpec, field: string): void {
  parseLine(name, `${field}.name`, MAX_NAME)
  parseRequiredLine(dataType, `${field}.data_type`, MAX_SHORT)
  if (shape.length > MAX_DIMENSIONS) failLimit(`${field}.shape`, MAX_DIMENSIONS, 'dimensions')
  for (const [index, length] of shape.entries()) {
    if (length < -1n) failField(`${field}.shape[${index}]`, 'must be at least 0, or -1 for any length')
  }
}

function checkDependency({ name, version }: Dependency, field: string): void {
  parseRequiredLine(name, `${field}.name`, MAX_NAME)
  parseLine(version, `${field}.version`, MAX_NAME)
}

/** Requires one line of text. It need not be a valid URI, because the service never fetches it. */
export function parseUri(uri: string, field: string): void {
  parseLine(parseText(uri, field, MAX_URI_BYTES), field, MAX_URI_BYTES)
}

function checkList<T>(list: T[], field: string, max: number, unit: string, check: (item: T, field: string) => void) {
  if (list.length > max) failLimit(field, max, unit)
  for (const [index, item] of list.entries()) check(item, `${field}[${index}]`)
}

function checkUnique<T>(list: T[], field: string, what: string, keys: (item: T) => string[]): void {
  const seen = new Map<string, number>()
  for (const [index, item] of list.entries()) {
    const key = JSON.stringify(keys(item))
    const first = seen.get(key)
    if (first !== undefined) failField(`${field}[${index}]`, `must differ from ${field}[${first}] in ${what}`)
    seen.set(key, index)
  }
}
