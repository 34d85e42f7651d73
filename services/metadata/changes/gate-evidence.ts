// The values of the variables of gate conditions. The proto documents them at `Condition.expression`.
import { fromJson, toJson } from '@bufbuild/protobuf'
import { ValueSchema } from '@bufbuild/protobuf/wkt'
import type { CelInput } from '@bufbuild/cel'
import { EvaluationFactsSchema, Verdict } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { VersionFactsSchema, type Metric } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { toTimestamp } from '#lib/store/time.ts'
import { wordOf } from '#lib/values/words.ts'
import type { VariableValues } from '../domain/governance/condition.ts'
import { findAliases } from '../store/aliases/alias.ts'
import { Evaluation } from '../store/governance/evaluation.ts'
import type { Model } from '../store/models/model.ts'
import { findVersion } from '../store/versions/find-version.ts'
import type { Version } from '../store/versions/version.ts'

const MAX_EVALUATIONS = 100

/** A version that may become the target of an alias. */
export interface Candidate {
  version: Version
  model: Model
  alias: string
  requester: string
}

/** The data by which gates decide about a candidate. */
export interface Evidence {
  /** The version that the alias points at; undefined if the alias does not exist. */
  current: Version | undefined
  variables: VariableValues
  /** Equal for equal variables. */
  key: string
  /** Ids of the evaluations in `variables`. */
  evaluations: string[]
}

export async function findEvidence(em: EntityManager, candidate: Candidate): Promise<Evidence> {
  const { version, model, alias, requester } = candidate
  const target = (await findAliases(em, model.id, [alias])).get(alias)
  const current = target && ((await findVersion(em, target.version)) ?? undefined)
  const rows = await em.find(
    Evaluation,
    { version: version.id },
    { orderBy: { createTime: 'desc', id: 'desc' }, limit: MAX_EVALUATIONS },
  )
  const evaluations = rows.map(describeEvaluation)
  const latest = new Map<string, CelInput>()
  for (const [index, { suite }] of rows.entries()) if (!latest.has(suite)) latest.set(suite, evaluations[index]!)
  const variables = {
    version: describeVersion(version),
    current: current ? describeVersion(current) : null,
    model: toMap({ ...pick(model, ['id', 'namespace', 'name', 'owner']), labels: toMap(model.labels) }),
    artifact: toMap({
      digest: version.digest,
      size_bytes: BigInt(version.sizeBytes),
      file_count: BigInt(version.fileCount),
    }),
    evaluations,
    latest,
    alias,
    requester,
  }
  const ids = rows.map(({ id }) => id)
  const key = JSON.stringify([
    stateOf(version),
    current ? stateOf(current) : null,
    stateOf(model),
    ids,
    alias,
    requester,
  ])
  return { current, variables, key, evaluations: ids }
}

/** Returns the values that distinguish states of the row. Its facts never change, and its aliases change without a new
 * revision. */
function stateOf({ id, revision, aliases }: Version | Model) {
  return [id, revision, aliases]
}

function describeVersion(version: Version): CelInput {
  const { source, parameters, metrics, datasets, license } = fromJson(VersionFactsSchema, version.facts)
  const values = parameters.map(({ name, value }): [string, CelInput] => [name, toInput(toJson(ValueSchema, value!))])
  return toMap({
    ...pick(version, ['id', 'digest', 'creator']),
    number: BigInt(version.number),
    semver: version.semver ?? '',
    create_time: toTimestamp(version.createTime),
    license,
    labels: toMap(version.labels),
    parameters: new Map(values),
    metrics: metricsByName(metrics),
    metrics_on: metricsBySplit(metrics),
    datasets: datasets.map(({ name }) => name),
    source: toMap({
      repository: source?.repository ?? '',
      commit: source?.commit ?? '',
      dirty: source?.dirty ?? false,
    }),
    aliases: version.aliases,
  })
}

function describeEvaluation({ suite, facts, creator, createTime }: Evaluation): CelInput {
  const { verdict, metrics, dataset } = fromJson(EvaluationFactsSchema, facts)
  return toMap({
    suite,
    verdict: wordOf(Verdict, verdict),
    metrics: metricsByName(metrics),
    metrics_on: metricsBySplit(metrics),
    dataset: dataset?.name ?? '',
    dataset_digest: dataset?.digest ?? '',
    creator,
    create_time: toTimestamp(createTime),
  })
}

/** Maps names to values. The first metric of a name wins, as when versions are ordered by a metric. */
function metricsByName(metrics: Metric[]): CelInput {
  return new Map(metrics.toReversed().map(({ name, value }) => [name, value]))
}

/** Maps datasets to splits to metrics. A name is unique within a dataset and split. */
function metricsBySplit(metrics: Metric[]): CelInput {
  return groupBy(metrics, 'dataset', (measured) => groupBy(measured, 'split', metricsByName))
}

function groupBy(metrics: Metric[], key: 'dataset' | 'split', describe: (group: Metric[]) => CelInput): CelInput {
  const groups = Map.groupBy(metrics, (metric) => metric[key])
  return new Map(Array.from(groups, ([name, group]) => [name, describe(group)]))
}

function toInput(json: unknown): CelInput {
  if (Array.isArray(json)) return json.map(toInput)
  if (typeof json === 'object' && json !== null) {
    return new Map(Object.entries(json).map(([name, value]) => [name, toInput(value)]))
  }
  return json as CelInput
}

/** Returns a Map, because a plain object would also resolve inherited names such as `constructor`. */
function toMap(fields: Record<string, CelInput>): CelInput {
  return new Map(Object.entries(fields))
}

function pick<Row, Key extends keyof Row>(row: Row, keys: Key[]): Pick<Row, Key> {
  return Object.fromEntries(keys.map((key) => [key, row[key]])) as Pick<Row, Key>
}
