// list, show, resolve, log, status, whoami, completion.
import type { Command } from 'commander'
import { lazily } from '../context.ts'

export function addBrowseCommands(program: Command): void {
  program
    .command('list [what]')
    .description('list models, the models of a namespace (fraud/), or the versions of a model')
    .option('--filter <expression>', 'for example: metrics.f1 > 0.9 AND labels.team = "voice"')
    .option('--order-by <field>', 'for example: create_time desc, or metrics.f1 desc')
    .option('--limit <count>', 'at most so many', '50')
    .option('--all', 'all of them')
    .action(lazily(async () => (await import('../commands/model/list.ts')).list))

  program
    .command('show <ref>')
    .description('show a model or a version: facts, files, aliases')
    .action(lazily(async () => (await import('../commands/model/show.ts')).show))

  program
    .command('resolve <ref>')
    .description('print the version a reference points at, and its digest')
    .option('--at <time>', 'where the alias pointed then, for example 2026-11-23T05:40:00Z')
    .action(lazily(async () => (await import('../commands/alias/resolve.ts')).resolve))

  program
    .command('log [ref]')
    .description('who did what, when and why; of everything, a model, a version or an alias')
    .option('--filter <expression>', 'for example: actor = "alice" AND type : "alias"')
    .option('--limit <count>', 'at most so many, the newest', '30')
    .option(
      '--all',
      'all of them; of a version also who read its list of files, without a ref also every file that was stored or read',
    )
    .option('-f, --follow', 'go on and print what happens')
    .action(lazily(async () => (await import('../commands/log/log.ts')).log))

  program
    .command('whoami')
    .description('who the token stands for, and its roles')
    .action(lazily(async () => (await import('../commands/status.ts')).whoAmI))

  program
    .command('status')
    .description('addresses, health and versions')
    .action(lazily(async () => (await import('../commands/status.ts')).status))

  program
    .command('completion <shell>')
    .description('print a completion script for bash, zsh or fish')
    .addHelpText('after', '\nFor bash: source <(npx modelkeep completion bash)')
    .action(async (shell: string) => (await import('../commands/completion.ts')).completion(program, shell))
}
