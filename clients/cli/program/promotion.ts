// The commands promote, and promotion request, list, show, approve, reject and withdraw.
import type { Command } from 'commander'
import { lazyAction } from '../context.ts'

const WHY = ['--reason <text>', 'reason, stored in the history and, until redacted, in the log'] as const
const STATES = 'pending, applied, rejected, expired, withdrawn or voided'

export function addPromotionCommands(program: Command): void {
  addRequest(program.command('promote <ref> <alias>'))
  const promotion = program.command('promotion').description('move gated aliases: request, approve, reject')
  addRequest(promotion.command('request <ref> <alias>'))
  promotion
    .command('list')
    .description('list the promotions of the namespace or of a model, newest first')
    .option('--model <model>', 'only promotions of this model')
    .option('--state <state>', `only promotions in this state: ${STATES}`)
    .option('--limit <count>', 'maximum number of results', '50')
    .option('--all', 'return all results')
    .action(lazyAction(async () => (await import('../commands/promotion/promotion.ts')).listPromotions))
  promotion
    .command('show <id>')
    .description('show a promotion with its gate results and approvals')
    .action(lazyAction(async () => (await import('../commands/promotion/promotion.ts')).showPromotion))
  addVotes(promotion)
}

function addRequest(command: Command): void {
  command
    .description('request to point an alias at a version; applied at once if its gates are met and need no approval')
    .requiredOption(...WHY)
    .action(lazyAction(async () => (await import('../commands/promotion/promote.ts')).requestPromotion))
}

function addVotes(promotion: Command): void {
  const load = () => import('../commands/promotion/promotion-votes.ts')
  promotion
    .command('approve <id>')
    .description('approve a promotion; the last required approval moves the alias')
    .requiredOption(...WHY)
    .action(lazyAction(async () => (await load()).approvePromotion))
  promotion
    .command('reject <id>')
    .description('reject and close a promotion')
    .requiredOption(...WHY)
    .action(lazyAction(async () => (await load()).rejectPromotion))
  promotion
    .command('withdraw <id>')
    .description('withdraw a promotion that you requested')
    .option(...WHY)
    .action(lazyAction(async () => (await load()).withdrawPromotion))
}
