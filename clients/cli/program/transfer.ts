// push and pull.
import { Option, type Command } from 'commander'
import { lazily } from '../context.ts'
import { LANE_CHOICES } from '../transfer/choices.ts'
import { collect } from './collect.ts'

export function addTransferCommands(program: Command): void {
  program
    .command('push <path> <model>')
    .description('store a file or directory as the next version of a model; sends only what the registry lacks')
    .option('--source <url@commit>', 'repository and commit it was made from (default: the git work tree of <path>)')
    .option('--no-git', 'do not look for a git work tree')
    .option('--param <name=value>', 'training parameter: number, true/false, JSON, else text; repeatable', collect)
    .option('--metric <name=value>', 'measured result; may go on with ,dataset=…,split=…; repeatable', collect)
    .option(
      '--dataset <fields>',
      'data it was made with: name=…,digest=…,uri=…,role=train|validation|test; repeatable',
      collect,
    )
    .option(
      '--parent <relation=ref>',
      'version it was derived from: fine-tuned, distilled, quantized or merged; repeatable',
      collect,
    )
    .option('--run <fields>', 'training run: id=…,uri=…,framework=…,framework-version=…,start=…,end=…')
    .option('--dependency <name==version>', 'package needed to run it; repeatable', collect)
    .option('--signature <file>', 'JSON file with inputs and outputs')
    .option('--license <name>', 'SPDX expression or name')
    .option('--semver <version>', 'semantic version, unique in the model')
    .option('--description <text>', 'what is new in this version')
    .option('--card <file>', 'model card, a Markdown file')
    .option('--label <name=value>', 'label; repeatable', collect)
    .option('--alias <name>', 'point this alias at the new version afterwards; repeatable', collect)
    .option('--reason <text>', 'why the alias moves')
    .addOption(laneOption())
    .option('--no-create', 'fail when the model does not exist')
    .addOption(new Option('--create', 'make the model when it does not exist').default(true))
    .action(lazily(async () => (await import('../commands/transfer/push.ts')).push))

  program
    .command('pull <ref> <directory>')
    .description('fetch a version into a directory, verified, all or nothing; goes on where an earlier pull stopped')
    .option('--force', 'replace what is in the directory')
    .addOption(laneOption())
    .option('--no-cache', 'take nothing from the cache, and keep nothing in it')
    .option(
      '--cache-size <size>',
      'how large the cache may become (default: MODELKEEP_CACHE_SIZE or 20GiB); 0 for none',
    )
    .action(lazily(async () => (await import('../commands/transfer/pull.ts')).pull))
}

function laneOption(): Option {
  return new Option(
    '--lane <lane>',
    'direct: straight to and from the S3 store; stream: through the server; auto: what works',
  )
    .choices(LANE_CHOICES)
    .default('auto')
}

export function addCacheCommands(program: Command): void {
  const cache = program.command('cache').description('the files that earlier pulls left on this machine')
  cache
    .command('show')
    .description('where the cache is and how full')
    .action(lazily(async () => (await import('../commands/transfer/cache.ts')).cacheShow))
  cache
    .command('clear')
    .description('remove all that is in it')
    .action(lazily(async () => (await import('../commands/transfer/cache.ts')).cacheClear))
}
