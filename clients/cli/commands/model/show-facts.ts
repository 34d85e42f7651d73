// Formats the facts of a version as lines of text.
import { toJson } from '@bufbuild/protobuf'
import { ValueSchema } from '@bufbuild/protobuf/wkt'
import {
  DatasetRole,
  DatasetRoleSchema,
  ParentRelationSchema,
  type Dataset,
  type Metric,
  type Run,
  type Source,
  type TensorSpec,
  type VersionFacts,
} from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { VerdictSchema, type Evaluation } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { time, word } from '../../terminal/output.ts'

/** `parents`: the names of the parents that the caller can read, by UUID. */
export function factRows(facts: VersionFacts | undefined, parents: Map<string, string>): [string, string][] {
  if (!facts) return []
  return [
    ['source', facts.source ? sourceText(facts.source) : ''],
    ['run', facts.run ? runText(facts.run) : ''],
    ['license', facts.license],
    ...rows(
      'parameter',
      facts.parameters,
      ({ name, value }) => `${name} = ${value ? JSON.stringify(toJson(ValueSchema, value)) : ''}`,
    ),
    ...rows('metric', facts.metrics, metricText),
    ...rows('dataset', facts.datasets, datasetText),
    ...rows(
      'parent',
      facts.parents,
      ({ versionId, relation }) =>
        `${word(ParentRelationSchema, relation)} from ${parents.get(versionId) ?? versionId}`,
    ),
    ...rows('input', facts.signature?.inputs ?? [], tensorText),
    ...rows('output', facts.signature?.outputs ?? [], tensorText),
    ...rows('dependency', facts.dependencies, ({ name, version }) => `${name} ${version}`.trim()),
  ]
}

/** Formats one row per item. Only the first row has the name. */
export function rows<T>(name: string, items: T[], text: (item: T) => string): [string, string][] {
  return items.map((item, index) => [index === 0 ? name : '', text(item)])
}

function sourceText({ repository, commit, path, dirty }: Source): string {
  const place = [repository, commit && `@${commit}`, path && `#${path}`].join('')
  return `${place}${dirty ? ' (with uncommitted changes)' : ''}`
}

function runText({ id, uri, framework, frameworkVersion, startTime, endTime }: Run): string {
  const span = startTime || endTime ? `${time(startTime)} – ${time(endTime)}` : ''
  return [id, uri, `${framework} ${frameworkVersion}`.trim(), span].filter(Boolean).join(', ')
}

export function metricText({ name, value, dataset, split }: Metric): string {
  const where = [dataset, split].filter(Boolean).join(' ')
  return `${name} = ${value}${where ? ` on ${where}` : ''}`
}

export function datasetText({ name, role, uri, digest }: Dataset): string {
  const use = role === DatasetRole.UNSPECIFIED ? '' : `(${word(DatasetRoleSchema, role)})`
  return [name, use, digest, uri].filter(Boolean).join(' ')
}

function tensorText({ name, dataType, shape }: TensorSpec): string {
  return `${name} ${dataType} [${shape.map((length) => (length < 0n ? '?' : String(length))).join(', ')}]`
}

export function evaluationText({ facts, createTime, creator }: Evaluation): string {
  return `${facts!.suite} ${word(VerdictSchema, facts!.verdict)}, ${time(createTime)} by ${creator}`
}
