// Validation of evaluation facts: what was measured of a version. Facts are immutable.
import { DatasetRole, type Dataset } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { Verdict, type EvaluationFacts } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { failField } from '#lib/errors/errors.ts'
import { parseDigest } from '#lib/values/ids.ts'
import { checkDataset, checkMetrics, parseUri } from '../facts.ts'
import { parseLine, parseRequiredLine, parseText } from '../text.ts'

const MAX_SUITE = 128
const MAX_RUNNER = 255
const MAX_METRICS = 100
const MAX_SUMMARY_BYTES = 4096
const VERDICTS: number[] = [Verdict.PASSED, Verdict.FAILED]

export function parseEvaluationFacts(facts: EvaluationFacts | undefined): EvaluationFacts {
  if (!facts) failField('facts', 'is required')
  parseRequiredLine(facts.suite, 'facts.suite', MAX_SUITE)
  if (!VERDICTS.includes(facts.verdict)) failField('facts.verdict', 'is required and must be a known Verdict')
  checkMetrics(facts.metrics, MAX_METRICS)
  if (facts.dataset) checkEvaluationDataset(facts.dataset)
  parseLine(facts.runner, 'facts.runner', MAX_RUNNER)
  parseUri(facts.runUri, 'facts.run_uri')
  parseUri(facts.reportUri, 'facts.report_uri')
  if (facts.reportDigest !== '') parseDigest(facts.reportDigest, 'facts.report_digest')
  parseText(facts.summary, 'facts.summary', MAX_SUMMARY_BYTES)
  return facts
}

function checkEvaluationDataset(dataset: Dataset): void {
  if (dataset.role !== DatasetRole.UNSPECIFIED) failField('facts.dataset.role', 'must not be set')
  checkDataset(dataset, 'facts.dataset')
}

/** Parses the name of a suite. An empty name selects all suites. */
export function parseSuite(suite: string): string {
  return parseLine(suite, 'suite', MAX_SUITE)
}
