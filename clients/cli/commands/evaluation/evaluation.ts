// The commands evaluation list and show.
import { EvaluationSchema, VerdictSchema, type Evaluation } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { EvaluationService } from '#gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import type { Context } from '../../context.ts'
import { facts as factLines, jsonOf, plain, table, time, versionName, word } from '../../terminal/output.ts'
import { readLimit, takePages, printMoreHint, type LimitOptions } from '../../terminal/pages.ts'
import { parseVersionRef } from '../../arguments/refs.ts'
import { unary } from '../../connection/registry.ts'
import { datasetText, metricText, rows } from '../model/show-facts.ts'

export async function listEvaluations(
  context: Context,
  text: string,
  { suite = '', ...limit }: LimitOptions & { suite?: string },
): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const version = parseVersionRef(text, context.namespace)
  const { items, hasMore } = await takePages(readLimit(limit), async (page) => {
    const request = { version, suite, ...page }
    const answer = await registry.metadata(EvaluationService).listEvaluations(request, unary(registry))
    return { items: answer.evaluations, nextPageToken: answer.nextPageToken }
  })
  if (output.json) {
    return output.document({ evaluations: items.map((item) => jsonOf(EvaluationSchema, item)), hasMore })
  }
  if (items.length === 0) return output.write('no evaluations')
  output.write(table(['ID', 'VERSION', 'SUITE', 'VERDICT', 'METRICS', 'WHEN', 'BY'], items.map(listRow)))
  printMoreHint(context, hasMore)
}

const METRICS_SHOWN = 3

function listRow(evaluation: Evaluation): string[] {
  const { suite = '', verdict = 0, metrics = [] } = evaluation.facts ?? {}
  const shown = metrics.slice(0, METRICS_SHOWN).map(({ name, value }) => `${name}=${value}`)
  return [
    evaluation.id,
    versionName(evaluation),
    suite,
    word(VerdictSchema, verdict),
    [...shown, ...(metrics.length > METRICS_SHOWN ? ['…'] : [])].join(' '),
    time(evaluation.createTime),
    evaluation.creator,
  ]
}

export async function showEvaluation(context: Context, id: string): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const { evaluation } = await registry.metadata(EvaluationService).getEvaluation({ id }, unary(registry))
  if (output.json) return output.document(jsonOf(EvaluationSchema, evaluation!))
  output.write(factLines(evaluationRows(evaluation!)))
  if (evaluation!.facts!.summary) output.write(`\n${plain(evaluation!.facts!.summary)}`)
}

function evaluationRows(evaluation: Evaluation): [string, string][] {
  const facts = evaluation.facts!
  return [
    ['evaluation', evaluation.id],
    ['version', versionName(evaluation)],
    ['digest', evaluation.digest],
    ['suite', facts.suite],
    ['verdict', word(VerdictSchema, facts.verdict)],
    ...rows('metric', facts.metrics, metricText),
    ['dataset', facts.dataset ? datasetText(facts.dataset) : ''],
    ['runner', facts.runner],
    ['run', facts.runUri],
    ['report', [facts.reportUri, facts.reportDigest].filter(Boolean).join(' ')],
    ['recorded', `${time(evaluation.createTime)} by ${evaluation.creator}`],
  ]
}
