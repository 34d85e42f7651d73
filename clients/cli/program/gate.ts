// gate create, update, delete, show, list, history, test.
import { Option, type Command } from 'commander'
import { lazily } from '../context.ts'
import { collect } from './collect.ts'

const REASON = ['--reason <text>', 'why; kept in the history, and in the log until it is redacted'] as const
const CONDITION =
  "what must hold, in CEL, and what that means: 'version.metrics.f1 >= 0.95 :: f1 is at least 0.95'; repeatable"

export function addGateCommands(program: Command): void {
  const gate = program.command('gate').description('say what must hold, and who must agree, before an alias moves')
  addRules(
    gate
      .command('create <gate>')
      .description('guard aliases: gate create two-people --alias production --approvals 2')
      .option('--model <model>', 'only the aliases of this model (default: of all models of the namespace)'),
    { isNew: true },
  ).action(lazily(async () => (await import('../commands/gate/gate-changes.ts')).createGate))
  const update = addRules(
    gate.command('update <gate>').description('change what a gate asks for; what is not given stays as it is'),
    { isNew: false },
  )
  update
    .addOption(new Option('--no-conditions', 'ask for no conditions').conflicts('condition'))
    .addOption(new Option('--no-approvers', 'let whoever may approve do so').conflicts('approver'))
    .action(lazily(async () => (await import('../commands/gate/gate-changes.ts')).updateGate))
  gate
    .command('delete <gate>')
    .description('guard no more; its history stays')
    .option(...REASON)
    .option('--yes', 'do not ask')
    .action(lazily(async () => (await import('../commands/gate/gate-changes.ts')).deleteGate))
  addReads(gate)
}

/** Options take the place of what a file says, and of what there is. */
function addRules(command: Command, { isNew }: { isNew: boolean }): Command {
  const byDefault = (text: string): string => (isNew ? ` (default: ${text})` : '')
  return command
    .option('--alias <pattern>', 'the aliases it guards; * stands for any characters')
    .option('--condition <condition>', CONDITION, collect)
    .option('--approvals <count>', `how many others must approve${byDefault('0')}`)
    .option('--approver <principal>', `whose approval counts${byDefault('whoever may approve')}; repeatable`, collect)
    .option('--expiry <duration>', `how long approvers have: 30m, 12h, 7d${byDefault('7d')}`)
    .option('--file <file>', 'all rules as JSON, as «gate show --json» has them in «rules»; - for stdin')
    .option(...REASON)
}

function addReads(gate: Command): void {
  const load = () => import('../commands/gate/gate.ts')
  gate
    .command('show <gate>')
    .description('show what a gate asks for')
    .action(lazily(async () => (await load()).showGate))
  gate
    .command('list')
    .description('list the gates of the namespace')
    .action(lazily(async () => (await load()).listGates))
  gate
    .command('history <gate-or-id>')
    .description('list what a gate asked for in the course of time; a deleted one by its id')
    .option('--limit <count>', 'at most so many, the newest', '50')
    .option('--all', 'all of them')
    .action(lazily(async () => (await load()).showGateHistory))
  gate
    .command('test <ref> <alias>')
    .description('try whether a version meets the gates of an alias, or rules that are no gate yet; exit code 8 if not')
    .option('--condition <condition>', `instead of the gates: ${CONDITION}`, collect)
    .option('--file <file>', 'instead of the gates: rules as JSON; - for stdin')
    .action(lazily(async () => (await import('../commands/gate/gate-test.ts')).testGate))
}
