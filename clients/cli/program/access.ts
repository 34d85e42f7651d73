// token and role.
import type { Command } from 'commander'
import { lazily } from '../context.ts'

const REASON = ['--reason <text>', 'why; kept in the audit log'] as const

export function addAccessCommands(program: Command): void {
  addTokens(program.command('token').description('make, list and revoke API tokens'))
  addRoles(program.command('role').description('give, take and list roles'))
}

function addTokens(token: Command): void {
  token
    .command('create <principal>')
    .description('make a token for somebody; its secret is shown once')
    .option('--expires <duration>', 'how long it works: 12h, 90d, at most 365d', '90d')
    .option('--description <text>', 'what it is for')
    .action(lazily(async () => (await import('../commands/access/token.ts')).createToken))
  token
    .command('list')
    .description('list tokens, the newest first')
    .option('--principal <name>', 'only those of one principal')
    .action(lazily(async () => (await import('../commands/access/token.ts')).listTokens))
  token
    .command('revoke <id>')
    .description('make a token stop working')
    .option(...REASON)
    .action(lazily(async () => (await import('../commands/access/token.ts')).revokeToken))
}

function addRoles(role: Command): void {
  const where = 'on the namespace of -n; «-n *» means all of them'
  role
    .command('grant <principal> <role>')
    .description(`give a role, reader, contributor, approver or admin, ${where}`)
    .option(...REASON)
    .action(lazily(async () => (await import('../commands/access/role.ts')).grantRole))
  role
    .command('revoke <principal>')
    .description(`take the role ${where}`)
    .option(...REASON)
    .action(lazily(async () => (await import('../commands/access/role.ts')).revokeRole))
  role
    .command('list')
    .description(`list who holds which role ${where}`)
    .action(lazily(async () => (await import('../commands/access/role.ts')).listRoles))
}
