// The command groups token and role.
import type { Command } from 'commander'
import { lazyAction } from '../context.ts'

const REASON = ['--reason <text>', 'reason, stored in the audit log'] as const

export function addAccessCommands(program: Command): void {
  addTokens(program.command('token').description('create, list and revoke API tokens'))
  addRoles(program.command('role').description('grant, revoke and list roles'))
}

function addTokens(token: Command): void {
  token
    .command('create <principal>')
    .description('create a token for a principal; its secret is shown once')
    .option('--expires <duration>', 'lifetime: 12h, 90d, at most 365d', '90d')
    .option('--description <text>', 'purpose of the token')
    .action(lazyAction(async () => (await import('../commands/access/token.ts')).createToken))
  token
    .command('list')
    .description('list tokens, newest first')
    .option('--principal <name>', 'only tokens of this principal')
    .action(lazyAction(async () => (await import('../commands/access/token.ts')).listTokens))
  token
    .command('revoke <id>')
    .description('revoke a token')
    .option(...REASON)
    .action(lazyAction(async () => (await import('../commands/access/token.ts')).revokeToken))
}

function addRoles(role: Command): void {
  const where = 'on the namespace of -n; "-n *" means all namespaces'
  role
    .command('grant <principal> <role>')
    .description(`grant the role reader, contributor, approver or admin ${where}`)
    .option(...REASON)
    .action(lazyAction(async () => (await import('../commands/access/role.ts')).grantRole))
  role
    .command('revoke <principal>')
    .description(`revoke the role ${where}`)
    .option(...REASON)
    .action(lazyAction(async () => (await import('../commands/access/role.ts')).revokeRole))
  role
    .command('list')
    .description(`list role bindings ${where}`)
    .action(lazyAction(async () => (await import('../commands/access/role.ts')).listRoles))
}
