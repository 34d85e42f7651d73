// The command groups model, version and namespace.
import type { Command } from 'commander'
import { lazyAction } from '../context.ts'
import { collect } from './collect.ts'

const REASON = ['--reason <text>', 'reason, stored in the audit log'] as const

export function addModelCommands(program: Command): void {
  addModels(program.command('model').description('create, update, rename, archive and delete models'))
  addVersions(program.command('version').description('update and delete versions'))
  addNamespaces(program.command('namespace').description('create, list and delete namespaces'))
}

function addModels(model: Command): void {
  model
    .command('create <model>')
    .description('create a model (push also creates it)')
    .option('--description <text>', 'description in Markdown')
    .option('--owner <name>', 'owner of the model (default: you)')
    .option('--label <name=value>', 'label; repeatable', collect)
    .action(lazyAction(async () => (await import('../commands/model/model.ts')).createModel))
  model
    .command('update <model>')
    .description('change the description, owner or labels')
    .option('--description <text>', 'description in Markdown')
    .option('--owner <name>', 'owner of the model')
    .option('--label <name=value>', 'add or change a label; repeatable', collect)
    .option('--remove-label <name>', 'remove a label; repeatable', collect)
    .action(lazyAction(async () => (await import('../commands/model/model.ts')).updateModel))
  model
    .command('rename <model> <new-name>')
    .description('rename a model; the old name redirects to it')
    .option(...REASON)
    .action(lazyAction(async () => (await import('../commands/model/model.ts')).renameModel))
  model
    .command('archive <model>')
    .description('archive a model; its versions can still be pulled')
    .option(...REASON)
    .action(lazyAction(async () => (await import('../commands/model/model.ts')).archiveModel))
  model
    .command('unarchive <model>')
    .description('restore an archived model')
    .option(...REASON)
    .action(lazyAction(async () => (await import('../commands/model/model.ts')).unarchiveModel))
  model
    .command('delete <model>')
    .description('delete an archived model that has no aliases, and all its versions')
    .option(...REASON)
    .option('--yes', 'skip the confirmation')
    .action(lazyAction(async () => (await import('../commands/model/model.ts')).deleteModel))
}

function addVersions(version: Command): void {
  version
    .command('update <ref>')
    .description('change the description, labels or model card of a version; its bytes and facts never change')
    .option('--description <text>', 'Markdown')
    .option('--card <file>', 'model card, a Markdown file')
    .option('--label <name=value>', 'add or change a label; repeatable', collect)
    .option('--remove-label <name>', 'remove a label; repeatable', collect)
    .action(lazyAction(async () => (await import('../commands/model/version.ts')).updateVersion))
  version
    .command('delete <ref>')
    .description('delete a version that no alias points at; its number is never reused')
    .option(...REASON)
    .option('--yes', 'skip the confirmation')
    .action(lazyAction(async () => (await import('../commands/model/version.ts')).deleteVersion))
}

function addNamespaces(namespace: Command): void {
  namespace
    .command('create <name>')
    .description('create a namespace')
    .option('--description <text>', 'description in Markdown')
    .action(lazyAction(async () => (await import('../commands/model/namespace.ts')).createNamespace))
  namespace
    .command('list')
    .description('list the namespaces that you can read')
    .action(lazyAction(async () => (await import('../commands/model/namespace.ts')).listNamespaces))
  namespace
    .command('delete <name>')
    .description('delete an empty namespace')
    .option(...REASON)
    .action(lazyAction(async () => (await import('../commands/model/namespace.ts')).deleteNamespace))
}
