// The commands alias set, remove and rollback.
import { AliasSchema } from '#gen/modelkeep/metadata/v1/alias_pb.ts'
import { AliasService } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { randomUUID } from 'node:crypto'
import { CliError, failUsage } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { jsonOf } from '../../terminal/output.ts'
import { modelRef, parseAliasRef, parseNumber } from '../../arguments/refs.ts'
import { unary } from '../../connection/registry.ts'
import { currentNumber, explainMoved, moveAlias, type AliasName, type Moved } from './alias-move.ts'

interface ReasonOptions {
  reason?: string
  breakGlass?: boolean
}

export async function setAlias(
  context: Context,
  text: string,
  number: string,
  options: ReasonOptions & { expect?: string },
) {
  const name = parseAliasRef(text, context.namespace)
  const expected = options.expect === undefined ? {} : { expected: parseExpected(options.expect) }
  printMove(context, name, await moveAlias(context, name, parseNumber(number), { ...readReason(options), ...expected }))
}

function readReason({ reason = '', breakGlass = false }: ReasonOptions): { reason: string; breakGlass: boolean } {
  if (breakGlass && reason === '') failUsage('--break-glass needs a reason', 'Add one with --reason.')
  return { reason, breakGlass }
}

function parseExpected(text: string): number {
  if (text === '0') return 0
  if (!/^\d+$/.test(text)) failUsage(`--expect "${text}" is not a version number`)
  return parseNumber(text)
}

export async function removeAlias(context: Context, text: string, options: ReasonOptions) {
  const name = parseAliasRef(text, context.namespace)
  const registry = context.registry()
  const from = await currentNumber(context, name)
  requirePresent(name, from)
  const request = {
    model: modelRef(name.namespace, name.model),
    targets: [{ name: name.alias, target: { case: 'remove' as const, value: true }, expectedNumber: from }],
    ...readReason(options),
    requestId: randomUUID(),
  }
  try {
    await registry.metadata(AliasService).setAliases(request, unary(registry))
  } catch (error) {
    throw await explainMoved(context, name, error)
  }
  printMove(context, name, { name: name.alias, from, to: 0, changed: true })
}

export async function rollbackAlias(context: Context, text: string, options: ReasonOptions) {
  const name = parseAliasRef(text, context.namespace)
  const registry = context.registry()
  const from = await currentNumber(context, name)
  requirePresent(name, from)
  const request = {
    model: modelRef(name.namespace, name.model),
    name: name.alias,
    expectedNumber: from,
    ...readReason(options),
    requestId: randomUUID(),
  }
  try {
    const { alias } = await registry.metadata(AliasService).rollbackAlias(request, unary(registry))
    printMove(context, name, { name: name.alias, from, to: alias!.number, changed: true, alias: alias! })
  } catch (error) {
    throw await explainMoved(context, name, error)
  }
}

function requirePresent({ namespace, model, alias }: AliasName, from: number): void {
  if (from > 0) return
  const hint = `See its aliases with: modelkeep alias list ${namespace}/${model}`
  throw new CliError('notFound', `alias ${namespace}/${model}@${alias} not found`, { hint, reason: 'ALIAS_NOT_FOUND' })
}

function printMove({ output }: Context, { namespace, model }: AliasName, moved: Moved): void {
  const { name, from, to, changed, alias } = moved
  if (output.json) {
    return output.document({
      alias: alias ? jsonOf(AliasSchema, alias) : null,
      fromNumber: from,
      toNumber: to,
      changed,
    })
  }
  const full = `${namespace}/${model}@${name}`
  if (!changed) return output.write(`${full} already points at version ${to}`)
  if (to === 0) return output.write(`${full} removed (was version ${from})`)
  output.write(`${full} → version ${to}${from > 0 ? ` (was version ${from})` : ''}`)
}
