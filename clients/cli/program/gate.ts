// The commands gate create, update, delete, show, list, history and test.
import { Option, type Command } from 'commander'
import { lazyAction } from '../context.ts'
import { collect } from './collect.ts'

const REASON = ['--reason <text>', 'reason, stored in the history and, until redacted, in the log'] as const
const CONDITION = "CEL condition and its explanation: 'version.metrics.f1 >= 0.95 :: f1 is at least 0.95'; repeatable"

export function addGateCommands(program: Command): void {
  const gate = program.command('gate').description('manage the conditions and approvals that guard alias moves')
  addRules(
    gate
      .command('create <gate>')
      .description('create a gate: gate create two-people --alias production --approvals 2')
      .option('--model <model>', 'guard only aliases of this model (default: all models of the namespace)'),
    { isNew: true },
  ).action(lazyAction(async () => (await import('../commands/gate/gate-changes.ts')).createGate))
  const update = addRules(
    gate.command('update <gate>').description('change the rules of a gate; omitted rules stay unchanged'),
    { isNew: false },
  )
  update
    .addOption(new Option('--no-conditions', 'remove all conditions').conflicts('condition'))
    .addOption(
      new Option('--no-approvers', 'accept approvals by everyone with the role approver').conflicts('approver'),
    )
    .action(lazyAction(async () => (await import('../commands/gate/gate-changes.ts')).updateGate))
  gate
    .command('delete <gate>')
    .description('delete a gate; its history remains')
    .option(...REASON)
    .option('--yes', 'skip the confirmation')
    .action(lazyAction(async () => (await import('../commands/gate/gate-changes.ts')).deleteGate))
  addReads(gate)
}

/** Adds the options for rules. They override the rules of the file and the current ones. */
function addRules(command: Command, { isNew }: { isNew: boolean }): Command {
  const byDefault = (text: string): string => (isNew ? ` (default: ${text})` : '')
  return command
    .option('--alias <pattern>', 'pattern of the guarded aliases; * matches any characters')
    .option('--condition <condition>', CONDITION, collect)
    .option('--approvals <count>', `number of required approvals by other people${byDefault('0')}`)
    .option(
      '--approver <principal>',
      `principal whose approval counts${byDefault('everyone with the role approver')}; repeatable`,
      collect,
    )
    .option('--expiry <duration>', `time until a promotion expires: 30m, 12h, 7d${byDefault('7d')}`)
    .option('--file <file>', 'all rules as JSON, like "rules" of "gate show --json"; - for stdin')
    .option(...REASON)
}

function addReads(gate: Command): void {
  const load = () => import('../commands/gate/gate.ts')
  gate
    .command('show <gate>')
    .description('show the rules of a gate')
    .action(lazyAction(async () => (await load()).showGate))
  gate
    .command('list')
    .description('list the gates of the namespace')
    .action(lazyAction(async () => (await load()).listGates))
  gate
    .command('history <gate-or-id>')
    .description('list the revisions of a gate; name a deleted gate by its id')
    .option('--limit <count>', 'maximum number of results, newest first', '50')
    .option('--all', 'return all results')
    .action(lazyAction(async () => (await load()).showGateHistory))
  gate
    .command('test <ref> <alias>')
    .description('test a version against the gates of an alias, or against given rules; exit code 8 if not met')
    .option('--condition <condition>', `test this instead of the gates: ${CONDITION}`, collect)
    .option('--file <file>', 'test these rules (JSON) instead of the gates; - for stdin')
    .action(lazyAction(async () => (await import('../commands/gate/gate-test.ts')).testGate))
}
