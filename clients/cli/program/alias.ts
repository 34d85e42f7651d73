// The commands alias set, remove, list, history and rollback.
import type { Command } from 'commander'
import { lazyAction } from '../context.ts'

const BREAK_GLASS = [
  '--break-glass',
  'bypass the gates in an emergency; requires the role admin and a reason, and is recorded in the log',
] as const

export function addAliasCommands(program: Command): void {
  const alias = program.command('alias').description('move aliases and show their history')

  alias
    .command('set <alias> <number>')
    .description('point an alias at a version: alias set vad@production 2 --reason "…"')
    .option('--reason <text>', 'reason, stored in the history and, until redacted, in the log')
    .option(
      '--expect <number>',
      'version number that the alias must point at now, 0 for none (default: its current one)',
    )
    .option(...BREAK_GLASS)
    .action(lazyAction(async () => (await import('../commands/alias/alias.ts')).setAlias))

  alias
    .command('remove <alias>')
    .description('remove an alias')
    .option('--reason <text>', 'reason, stored in the history and, until redacted, in the log')
    .option(...BREAK_GLASS)
    .action(lazyAction(async () => (await import('../commands/alias/alias.ts')).removeAlias))

  alias
    .command('rollback <alias>')
    .description('point an alias back at its previous version')
    .option('--reason <text>', 'reason, stored in the history and, until redacted, in the log')
    .option(...BREAK_GLASS)
    .action(lazyAction(async () => (await import('../commands/alias/alias.ts')).rollbackAlias))

  alias
    .command('list <model>')
    .description('list the aliases of a model')
    .action(lazyAction(async () => (await import('../commands/alias/alias-list.ts')).listAliases))

  alias
    .command('history <model>')
    .description('list the moves of one alias (vad@production) or of all aliases of a model (vad)')
    .option('--limit <count>', 'maximum number of results, newest first', '50')
    .option('--all', 'return all results')
    .action(lazyAction(async () => (await import('../commands/alias/alias-list.ts')).listAliasMoves))
}
