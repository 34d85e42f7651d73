// evaluation add, list, show.
import type { Command } from 'commander'
import { lazily } from '../context.ts'
import { collect } from './collect.ts'

export function addEvaluationCommands(program: Command): void {
  const evaluation = program.command('evaluation').description('record and see what was measured of versions')
  evaluation
    .command('add <ref>')
    .description('record what was run on a version and what came out: evaluation add vad:2 --suite noise --passed')
    .requiredOption('--suite <name>', 'what was asked of it; gates look for it')
    .option('--passed', 'it did what the suite asks')
    .option('--failed', 'it did not')
    .option('--metric <name=value>', 'measured result; may go on with ,dataset=…,split=…; repeatable', collect)
    .option('--dataset <name>', 'what it was measured on')
    .option('--dataset-digest <digest>', 'the digest of that data')
    .option('--dataset-uri <uri>', 'where that data is')
    .option('--runner <name>', 'what ran it, for example «pytest 9.1»')
    .option('--run-uri <uri>', 'where the run can be looked at')
    .option('--report <file-or-uri>', 'the report; of a file the digest is taken, its bytes stay where they are')
    .option('--report-digest <digest>', 'sha256:… of the report')
    .option('--summary <text>', 'in words, Markdown')
    .action(lazily(async () => (await import('../commands/evaluation/evaluation-add.ts')).addEvaluation))
  evaluation
    .command('list <ref>')
    .description('list the evaluations of a version, the newest first')
    .option('--suite <name>', 'only those of one suite')
    .option('--limit <count>', 'at most so many', '50')
    .option('--all', 'all of them')
    .action(lazily(async () => (await import('../commands/evaluation/evaluation.ts')).listEvaluations))
  evaluation
    .command('show <id>')
    .description('show an evaluation')
    .action(lazily(async () => (await import('../commands/evaluation/evaluation.ts')).showEvaluation))
}
