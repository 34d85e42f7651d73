// model, version and namespace.
import type { Command } from 'commander'
import { lazily } from '../context.ts'
import { collect } from './collect.ts'

const REASON = ['--reason <text>', 'why; kept in the audit log'] as const

export function addModelCommands(program: Command): void {
  addModels(program.command('model').description('make, describe, rename, archive and delete models'))
  addVersions(program.command('version').description('describe and delete versions'))
  addNamespaces(program.command('namespace').description('make, list and delete namespaces'))
}

function addModels(model: Command): void {
  model
    .command('create <model>')
    .description('register a model (push does it by itself)')
    .option('--description <text>', 'what it is for, Markdown')
    .option('--owner <name>', 'who answers for it (default: you)')
    .option('--label <name=value>', 'label; repeatable', collect)
    .action(lazily(async () => (await import('../commands/model/model.ts')).createModel))
  model
    .command('update <model>')
    .description('change description, owner or labels')
    .option('--description <text>', 'what it is for, Markdown')
    .option('--owner <name>', 'who answers for it')
    .option('--label <name=value>', 'add or change a label; repeatable', collect)
    .option('--remove-label <name>', 'remove a label; repeatable', collect)
    .action(lazily(async () => (await import('../commands/model/model.ts')).updateModel))
  model
    .command('rename <model> <new-name>')
    .description('give a model another name; the old one keeps leading to it')
    .option(...REASON)
    .action(lazily(async () => (await import('../commands/model/model.ts')).renameModel))
  model
    .command('archive <model>')
    .description('take a model out of use; its versions can still be pulled')
    .option(...REASON)
    .action(lazily(async () => (await import('../commands/model/model.ts')).archiveModel))
  model
    .command('unarchive <model>')
    .description('take an archived model into use again')
    .option(...REASON)
    .action(lazily(async () => (await import('../commands/model/model.ts')).unarchiveModel))
  model
    .command('delete <model>')
    .description('delete an archived model without aliases, with all its versions')
    .option(...REASON)
    .option('--yes', 'do not ask')
    .action(lazily(async () => (await import('../commands/model/model.ts')).deleteModel))
}

function addVersions(version: Command): void {
  version
    .command('update <ref>')
    .description('change description, labels or model card of a version; its bytes and facts never change')
    .option('--description <text>', 'Markdown')
    .option('--card <file>', 'model card, a Markdown file')
    .option('--label <name=value>', 'add or change a label; repeatable', collect)
    .option('--remove-label <name>', 'remove a label; repeatable', collect)
    .action(lazily(async () => (await import('../commands/model/version.ts')).updateVersion))
  version
    .command('delete <ref>')
    .description('delete a version that no alias points at; its number is never given again')
    .option(...REASON)
    .option('--yes', 'do not ask')
    .action(lazily(async () => (await import('../commands/model/version.ts')).deleteVersion))
}

function addNamespaces(namespace: Command): void {
  namespace
    .command('create <name>')
    .description('make a namespace')
    .option('--description <text>', 'what it is for, Markdown')
    .action(lazily(async () => (await import('../commands/model/namespace.ts')).createNamespace))
  namespace
    .command('list')
    .description('list the namespaces you may read')
    .action(lazily(async () => (await import('../commands/model/namespace.ts')).listNamespaces))
  namespace
    .command('delete <name>')
    .description('delete an empty namespace')
    .option(...REASON)
    .action(lazily(async () => (await import('../commands/model/namespace.ts')).deleteNamespace))
}
