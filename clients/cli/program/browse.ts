// The commands list, show, resolve, log, status, whoami and completion.
import type { Command } from 'commander'
import { lazyAction } from '../context.ts'

export function addBrowseCommands(program: Command): void {
  program
    .command('list [what]')
    .description('list models, the models of a namespace (fraud/), or the versions of a model')
    .option('--filter <expression>', 'for example: metrics.f1 > 0.9 AND labels.team = "voice"')
    .option('--order-by <field>', 'for example: create_time desc, or metrics.f1 desc')
    .option('--limit <count>', 'maximum number of results', '50')
    .option('--all', 'return all results')
    .action(lazyAction(async () => (await import('../commands/model/list.ts')).list))

  program
    .command('show <ref>')
    .description('show a model or a version: facts, files, aliases')
    .action(lazyAction(async () => (await import('../commands/model/show.ts')).show))

  program
    .command('resolve <ref>')
    .description('print the version that a reference names, and its digest')
    .option('--at <time>', 'resolve the alias as of this time, for example 2026-11-23T05:40:00Z')
    .action(lazyAction(async () => (await import('../commands/alias/resolve.ts')).resolve))

  program
    .command('log [ref]')
    .description('show who did what, when and why: for all, a model, a version or an alias')
    .option('--filter <expression>', 'for example: actor = "alice" AND type : "alias"')
    .option('--limit <count>', 'maximum number of results, newest first', '30')
    .option(
      '--all',
      'return all results, including reads of a version, or, without a reference, each stored and read file',
    )
    .option('-f, --follow', 'print new entries as they arrive')
    .action(lazyAction(async () => (await import('../commands/log/log.ts')).log))
  addStatusCommands(program)
}

function addStatusCommands(program: Command): void {
  program
    .command('whoami')
    .description('show the principal of the token and its roles')
    .action(lazyAction(async () => (await import('../commands/status.ts')).whoAmI))

  program
    .command('status')
    .description('show addresses, health and versions')
    .action(lazyAction(async () => (await import('../commands/status.ts')).status))

  program
    .command('completion <shell>')
    .description('print a completion script for bash, zsh or fish')
    .addHelpText('after', '\nFor bash: source <(npx modelkeep completion bash)')
    .action(async (shell: string) => (await import('../commands/completion.ts')).completion(program, shell))
}
