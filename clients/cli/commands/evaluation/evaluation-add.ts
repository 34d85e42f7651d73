// The command evaluation add records the result of an evaluation.
import type { MessageInitShape } from '@bufbuild/protobuf'
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { EvaluationSchema, Verdict, type EvaluationFactsSchema } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { EvaluationService } from '#gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { CliError, failUsage } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { parseMetric } from '../../arguments/facts.ts'
import { jsonOf, versionName } from '../../terminal/output.ts'
import { unary } from '../../connection/registry.ts'
import { resolveExact } from '../alias/resolve.ts'

interface AddOptions {
  suite: string
  passed?: boolean
  failed?: boolean
  metric?: string[]
  dataset?: string
  datasetDigest?: string
  datasetUri?: string
  runner?: string
  runUri?: string
  report?: string
  reportDigest?: string
  summary?: string
}

type Facts = MessageInitShape<typeof EvaluationFactsSchema>

export async function addEvaluation(context: Context, text: string, options: AddOptions): Promise<void> {
  const { output } = context
  const facts: Facts = {
    suite: options.suite,
    verdict: readVerdict(options),
    metrics: (options.metric ?? []).map(parseMetric),
    ...readDataset(options),
    runner: options.runner ?? '',
    runUri: options.runUri ?? '',
    ...(await readReport(options)),
    summary: options.summary ?? '',
  }
  const version = await resolveExact(context, text)
  const registry = context.registry()
  const request = { version, facts, requestId: randomUUID() }
  const { evaluation } = await registry.metadata(EvaluationService).createEvaluation(request, unary(registry))
  if (output.json) return output.document(jsonOf(EvaluationSchema, evaluation!))
  const verdict = options.passed ? 'passed' : 'failed'
  output.write(`recorded that ${versionName(evaluation!)} ${verdict} ${options.suite}\nid  ${evaluation!.id}`)
}

function readVerdict({ passed, failed }: AddOptions): Verdict {
  if (passed === failed) failUsage('verdict is missing or ambiguous; pass either --passed or --failed')
  return passed ? Verdict.PASSED : Verdict.FAILED
}

function readDataset({ dataset, datasetDigest = '', datasetUri = '' }: AddOptions): Pick<Facts, 'dataset'> {
  if (dataset !== undefined) return { dataset: { name: dataset, digest: datasetDigest, uri: datasetUri } }
  if (datasetDigest || datasetUri) failUsage('dataset name is missing; add --dataset')
  return {}
}

/** Reads the report, which is a URI or a file. A file is hashed. */
async function readReport({
  report = '',
  reportDigest = '',
}: AddOptions): Promise<{ reportUri: string; reportDigest: string }> {
  if (report === '' || /^[a-z][a-z0-9+.-]+:/i.test(report)) return { reportUri: report, reportDigest }
  const hash = createHash('sha256')
  await pipeline(createReadStream(report), hash)
  const digest = `sha256:${hash.digest('hex')}`
  if (reportDigest && reportDigest !== digest) {
    throw new CliError('integrity', `${report} has digest ${digest}, not ${reportDigest}`)
  }
  return { reportUri: report, reportDigest: digest }
}
