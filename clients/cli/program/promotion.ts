// promote; promotion request, list, show, approve, reject, withdraw.
import type { Command } from 'commander'
import { lazily } from '../context.ts'

const WHY = ['--reason <text>', 'why; kept in the history, and in the log until it is redacted'] as const
const STATES = 'pending, applied, rejected, expired, withdrawn or voided'

export function addPromotionCommands(program: Command): void {
  addRequest(program.command('promote <ref> <alias>'))
  const promotion = program.command('promotion').description('move aliases that gates guard: ask, approve, reject')
  addRequest(promotion.command('request <ref> <alias>'))
  promotion
    .command('list')
    .description('list the promotions of the namespace or of a model, the newest first')
    .option('--model <model>', 'only those of one model')
    .option('--state <state>', `only those that are ${STATES}`)
    .option('--limit <count>', 'at most so many', '50')
    .option('--all', 'all of them')
    .action(lazily(async () => (await import('../commands/promotion/promotion.ts')).listPromotions))
  promotion
    .command('show <id>')
    .description('show a promotion: what its gates say, and who approved it')
    .action(lazily(async () => (await import('../commands/promotion/promotion.ts')).showPromotion))
  addVotes(promotion)
}

function addRequest(command: Command): void {
  command
    .description('ask to point an alias at a version; done at once where its gates are met and nobody must approve')
    .requiredOption(...WHY)
    .action(lazily(async () => (await import('../commands/promotion/promote.ts')).requestPromotion))
}

function addVotes(promotion: Command): void {
  const load = () => import('../commands/promotion/promotion-votes.ts')
  promotion
    .command('approve <id>')
    .description('approve a promotion; with the last approval it asks for, the alias moves')
    .requiredOption(...WHY)
    .action(lazily(async () => (await load()).approvePromotion))
  promotion
    .command('reject <id>')
    .description('reject a promotion, which ends it')
    .requiredOption(...WHY)
    .action(lazily(async () => (await load()).rejectPromotion))
  promotion
    .command('withdraw <id>')
    .description('take back a promotion that you asked for')
    .option(...WHY)
    .action(lazily(async () => (await load()).withdrawPromotion))
}
