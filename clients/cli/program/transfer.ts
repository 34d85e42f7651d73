// The commands push and pull.
import { Option, type Command } from 'commander'
import { lazyAction } from '../context.ts'
import { TRANSFER_MODES } from '../transfer/modes.ts'
import { collect } from './collect.ts'

export function addTransferCommands(program: Command): void {
  program
    .command('push <path> <model>')
    .description('store a file or directory as the next version of a model; uploads only missing blobs')
    .option('--source <url@commit>', 'repository and commit of the source (default: the git work tree of <path>)')
    .option('--no-git', 'ignore the git work tree')
    .option('--param <name=value>', 'training parameter: number, true, false, JSON or text; repeatable', collect)
    .option('--metric <name=value>', 'measured result, optionally with ,dataset=…,split=…; repeatable', collect)
    .option('--dataset <fields>', 'dataset: name=…,digest=…,uri=…,role=train|validation|test; repeatable', collect)
    .option(
      '--parent <relation=ref>',
      'parent version with its relation: fine-tuned, distilled, quantized or merged; repeatable',
      collect,
    )
    .option('--run <fields>', 'training run: id=…,uri=…,framework=…,framework-version=…,start=…,end=…')
    .option('--dependency <name==version>', 'package that the model needs; repeatable', collect)
    .option('--signature <file>', 'JSON file with inputs and outputs')
    .option('--license <name>', 'SPDX expression or name')
    .option('--semver <version>', 'semantic version, unique in the model')
    .option('--description <text>', 'description of this version, Markdown')
    .option('--card <file>', 'model card, a Markdown file')
    .option('--label <name=value>', 'label; repeatable', collect)
    .option('--alias <name>', 'alias to point at the new version; repeatable', collect)
    .option('--reason <text>', 'reason for the alias move')
    .addOption(modeOption())
    .option('--no-create', 'fail if the model does not exist')
    .addOption(new Option('--create', 'create the model if it does not exist').default(true))
    .action(lazyAction(async () => (await import('../commands/transfer/push.ts')).push))

  program
    .command('pull <ref> <directory>')
    .description('download and verify a version, all or nothing; resumes an interrupted pull')
    .option('--force', 'replace the contents of the directory')
    .addOption(modeOption())
    .option('--no-cache', 'neither read nor write the cache')
    .option('--cache-size <size>', 'maximum size of the cache, 0 for none (default: MODELKEEP_CACHE_SIZE or 20GiB)')
    .action(lazyAction(async () => (await import('../commands/transfer/pull.ts')).pull))
}

function modeOption(): Option {
  return new Option(
    '--lane <lane>',
    'transfer mode: direct to and from the S3 store, stream through the server, or auto',
  )
    .choices(TRANSFER_MODES)
    .default('auto')
}

export function addCacheCommands(program: Command): void {
  const cache = program.command('cache').description('manage the local cache of pulled files')
  cache
    .command('show')
    .description('show the directory and size of the cache')
    .action(lazyAction(async () => (await import('../commands/transfer/cache.ts')).cacheShow))
  cache
    .command('clear')
    .description('remove all files from the cache')
    .action(lazyAction(async () => (await import('../commands/transfer/cache.ts')).cacheClear))
}
