// The commands alias list and history.
import { AliasMoveSchema, AliasSchema, type AliasMove } from '#gen/modelkeep/metadata/v1/alias_pb.ts'
import { AliasService } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { CliError } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { jsonOf, shortDigest, table, time } from '../../terminal/output.ts'
import { readLimit, takePages, printMoreHint, type LimitOptions } from '../../terminal/pages.ts'
import { parseModelRef, parseRef } from '../../arguments/refs.ts'
import { unary } from '../../connection/registry.ts'

export async function listAliases(context: Context, text: string): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const model = parseModelRef(text, context.namespace)
  const { items } = await takePages(Infinity, async (page) => {
    const answer = await registry.metadata(AliasService).listAliases({ model, ...page }, unary(registry))
    return { items: answer.aliases, nextPageToken: answer.nextPageToken }
  })
  if (output.json) return output.document({ aliases: items.map((alias) => jsonOf(AliasSchema, alias)) })
  const rows = items.map(({ name, number, digest, mover, moveTime, reason }) => [
    name,
    String(number),
    shortDigest(digest),
    time(moveTime),
    mover,
    reason,
  ])
  output.write(rows.length > 0 ? table(['ALIAS', 'VERSION', 'DIGEST', 'MOVED', 'BY', 'WHY'], rows) : 'no aliases')
}

export async function listAliasMoves(context: Context, text: string, options: LimitOptions): Promise<void> {
  const { output } = context
  const registry = context.registry()
  const ref = parseRef(text, context.namespace)
  const name = 'id' in ref || ref.selector?.case !== 'alias' ? '' : ref.selector.value
  const model = parseModelRef(name === '' ? text : text.slice(0, text.indexOf('@')), context.namespace)
  const { items, hasMore } = await takePages(readLimit(options), async (page) => {
    const answer = await registry.metadata(AliasService).listAliasMoves({ model, name, ...page }, unary(registry))
    return { items: answer.moves, nextPageToken: answer.nextPageToken }
  })
  if (items.length === 0 && name !== '') {
    const hint = `See its aliases with: modelkeep alias list ${text.slice(0, text.indexOf('@'))}`
    throw new CliError('notFound', `alias ${text} not found in the history`, { hint, reason: 'ALIAS_NOT_FOUND' })
  }
  if (output.json) return output.document({ moves: items.map((move) => jsonOf(AliasMoveSchema, move)), hasMore })
  const head = ['WHEN', 'ALIAS', 'FROM', 'TO', 'BY', 'HOW', 'WHY']
  output.write(items.length > 0 ? table(head, items.map(moveRow)) : 'no moves')
  printMoreHint(context, hasMore)
}

function moveRow(move: AliasMove): string[] {
  const { name, fromNumber, toNumber, mover, moveTime, reason } = move
  const from = fromNumber === 0 ? '–' : String(fromNumber)
  const to = toNumber === 0 ? 'removed' : String(toNumber)
  return [time(moveTime), name, from, to, mover, howMoved(move), reason]
}

/** Formats how the alias moved: past its gates, by a promotion, or ungated. */
function howMoved({ forced, promotionId }: AliasMove): string {
  if (forced) return 'forced'
  return promotionId === '' ? '' : `promotion ${promotionId}`
}
