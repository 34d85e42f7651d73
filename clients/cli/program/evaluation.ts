// The commands evaluation add, list and show.
import type { Command } from 'commander'
import { lazyAction } from '../context.ts'
import { collect } from './collect.ts'

export function addEvaluationCommands(program: Command): void {
  const evaluation = program.command('evaluation').description('record and show evaluations of versions')
  evaluation
    .command('add <ref>')
    .description('record the result of an evaluation: evaluation add vad:2 --suite noise --passed')
    .requiredOption('--suite <name>', 'name of the evaluation suite, which gate conditions use')
    .option('--passed', 'the version passed the suite')
    .option('--failed', 'the version failed the suite')
    .option('--metric <name=value>', 'measured result, optionally with ,dataset=…,split=…; repeatable', collect)
    .option('--dataset <name>', 'dataset of the evaluation')
    .option('--dataset-digest <digest>', 'digest of the dataset')
    .option('--dataset-uri <uri>', 'URI of the dataset')
    .option('--runner <name>', 'program that ran the evaluation, for example "pytest 9.1"')
    .option('--run-uri <uri>', 'URI of the run')
    .option('--report <file-or-uri>', 'report; a file is hashed, but not uploaded')
    .option('--report-digest <digest>', 'digest of the report, sha256:…')
    .option('--summary <text>', 'summary in Markdown')
    .action(lazyAction(async () => (await import('../commands/evaluation/evaluation-add.ts')).addEvaluation))
  evaluation
    .command('list <ref>')
    .description('list the evaluations of a version, newest first')
    .option('--suite <name>', 'only evaluations of this suite')
    .option('--limit <count>', 'maximum number of results', '50')
    .option('--all', 'return all results')
    .action(lazyAction(async () => (await import('../commands/evaluation/evaluation.ts')).listEvaluations))
  evaluation
    .command('show <id>')
    .description('show an evaluation')
    .action(lazyAction(async () => (await import('../commands/evaluation/evaluation.ts')).showEvaluation))
}
