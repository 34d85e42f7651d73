// alias set, remove, list, history, rollback.
import type { Command } from 'commander'
import { lazily } from '../context.ts'

const GLASS = [
  '--break-glass',
  'move it past the gates that guard it, in an emergency; for administrators, with a reason, and told of',
] as const

export function addAliasCommands(program: Command): void {
  const alias = program.command('alias').description('move the aliases of a model and see where they pointed')

  alias
    .command('set <alias> <number>')
    .description('point an alias at a version: alias set vad@production 2 --reason "…"')
    .option('--reason <text>', 'why; kept in the history, and in the log until it is redacted')
    .option('--expect <number>', 'the number it must point at now, 0 for none (default: what it points at now)')
    .option(...GLASS)
    .action(lazily(async () => (await import('../commands/alias/alias.ts')).setAlias))

  alias
    .command('remove <alias>')
    .description('remove an alias')
    .option('--reason <text>', 'why; kept in the history, and in the log until it is redacted')
    .option(...GLASS)
    .action(lazily(async () => (await import('../commands/alias/alias.ts')).removeAlias))

  alias
    .command('rollback <alias>')
    .description('point an alias back to where it pointed before its last move')
    .option('--reason <text>', 'why; kept in the history, and in the log until it is redacted')
    .option(...GLASS)
    .action(lazily(async () => (await import('../commands/alias/alias.ts')).rollbackAlias))

  alias
    .command('list <model>')
    .description('list the aliases of a model')
    .action(lazily(async () => (await import('../commands/alias/alias-list.ts')).listAliases))

  alias
    .command('history <model>')
    .description('list the moves of one alias (vad@production) or of all aliases of a model (vad)')
    .option('--limit <count>', 'at most so many, the newest', '50')
    .option('--all', 'all of them')
    .action(lazily(async () => (await import('../commands/alias/alias-list.ts')).listAliasMoves))
}
