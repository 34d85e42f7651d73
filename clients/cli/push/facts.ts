// Reads the facts of the new version from options, the files and versions that they name, and the git work tree.
import { create, fromJson, type MessageInitShape } from '@bufbuild/protobuf'
import { TimestampSchema, ValueSchema } from '@bufbuild/protobuf/wkt'
import { readFile } from 'node:fs/promises'
import {
  DatasetSchema,
  DependencySchema,
  MetricSchema,
  ParameterSchema,
  ParentSchema,
  SignatureSchema,
  VersionFactsSchema,
  type VersionFacts,
} from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { failUsage } from '../terminal/cli-error.ts'
import type { Context } from '../context.ts'
import {
  parseDataset,
  parseDependency,
  parseMetric,
  parseParameter,
  parseParent,
  parseRun,
  parseSignature,
  parseSource,
} from '../arguments/facts.ts'
import { findGitSource } from './git.ts'
import { parseVersionRef } from '../arguments/refs.ts'
import { unary } from '../connection/registry.ts'
import { checkFacts } from './checks.ts'

export interface FactOptions {
  source?: string
  git: boolean
  param?: string[]
  metric?: string[]
  dataset?: string[]
  parent?: string[]
  run?: string
  dependency?: string[]
  signature?: string
  license?: string
}

export const FACT_OPTIONS = [
  'source',
  'param',
  'metric',
  'dataset',
  'parent',
  'run',
  'dependency',
  'signature',
  'license',
] as const satisfies (keyof FactOptions)[]

/** Throws CliError for every invalid option, before the first byte is sent. */
export async function readFacts(context: Context, path: string, options: FactOptions): Promise<VersionFacts> {
  const source = options.source ? parseSource(options.source) : options.git ? await findGitSource(path) : undefined
  const facts = create(VersionFactsSchema, {
    ...(source && { source }),
    ...(options.run && { run: readRun(options.run) }),
    parameters: (options.param ?? []).map((text) => {
      const { name, value } = parseParameter(text)
      return create(ParameterSchema, { name, value: fromJson(ValueSchema, value) })
    }),
    metrics: (options.metric ?? []).map((text) => create(MetricSchema, parseMetric(text))),
    datasets: (options.dataset ?? []).map((text) => create(DatasetSchema, parseDataset(text))),
    dependencies: (options.dependency ?? []).map((text) => create(DependencySchema, parseDependency(text))),
    ...(options.signature && { signature: await readSignature(options.signature) }),
    license: options.license ?? '',
  })
  checkFacts(facts)
  facts.parents = await findParents(context, options.parent ?? [])
  return facts
}

function readRun(text: string): NonNullable<MessageInitShape<typeof VersionFactsSchema>['run']> {
  const { fields, start, end } = parseRun(text)
  return {
    ...fields,
    ...(start && { startTime: create(TimestampSchema, start) }),
    ...(end && { endTime: create(TimestampSchema, end) }),
  }
}

async function readSignature(file: string) {
  const json = parseSignature(await readFile(file, 'utf8'), file)
  try {
    return fromJson(SignatureSchema, json)
  } catch (error) {
    failUsage(`--signature ${file} is invalid: ${(error as Error).message}`)
  }
}

async function findParents(context: Context, texts: string[]) {
  const parents = []
  for (const text of texts) {
    const { ref, relation } = parseParent(text)
    const registry = context.registry()
    const request = { ref: parseVersionRef(ref, context.namespace) }
    const { version } = await registry.metadata(VersionService).resolveVersion(request, unary(registry))
    parents.push(create(ParentSchema, { versionId: version!.id, relation }))
  }
  return parents
}
