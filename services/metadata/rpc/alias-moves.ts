// Moving aliases under the model's lock: compared with what the caller saw, then all or none.
import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/caller.ts'
import { fail } from '#lib/errors.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import type { Target } from '../domain/alias-targets.ts'
import { aliasId, findAliases, findTargets, nextMoveTime, recordMove, type AliasRow } from '../store/alias-rows.ts'
import type { ModelRow } from '../store/model-rows.ts'
import { failNoVersion } from './checks.ts'

export interface Moves {
  model: ModelRow
  targets: Target[]
  reason: string
}

interface Move {
  name: string
  from: AliasRow | undefined
  to: { number: number; id: string; digest: string } | undefined
}

/** An alias that is where it shall be stays untouched, without a move or an event. */
export async function moveAliases(em: EntityManager, context: HandlerContext, asked: Moves): Promise<void> {
  const { model, targets, reason } = asked
  const moves = (await plan(em, model, targets)).filter(({ from, to }) => from?.number !== to?.number)
  if (moves.length === 0) return
  const time = await nextMoveTime(em, model.id)
  const mover = accessOf(context).caller.principal
  for (const { name, from, to } of moves) {
    await recordMove(em, {
      aliasId: aliasId(model.id, name),
      modelId: model.id,
      name,
      from: from?.number ?? 0,
      to: to?.number ?? 0,
      versionId: to?.id,
      mover,
      time,
      reason,
    })
    emitMove(em, context, asked, { name, from, to })
  }
}

async function plan(em: EntityManager, model: ModelRow, targets: Target[]): Promise<Move[]> {
  const present = await findAliases(
    em,
    model.id,
    targets.map(({ name }) => name),
  )
  const versions = await findTargets(
    em,
    model.id,
    targets.flatMap(({ number }) => number ?? []),
  )
  return targets.map(({ name, number, expected }) => {
    const from = present.get(name)
    if (number === undefined && !from) {
      fail('ALIAS_NOT_FOUND', `the model ${model.namespace}/${model.name} has no alias ${name}`, { alias: name })
    }
    if ((from?.number ?? 0) !== expected) failMoved(name, expected, from?.number ?? 0)
    if (number === undefined) return { name, from, to: undefined }
    const version = versions.get(number)
    if (!version) failNoVersion({ namespace: model.namespace, model: model.name, number })
    return { name, from, to: { number, ...version } }
  })
}

function failMoved(alias: string, expected: number, current: number): never {
  const where = current === 0 ? 'does not exist' : `points at ${current}`
  const metadata = { alias, expected: String(expected), current: String(current) }
  fail('ALIAS_MOVED', `the alias ${alias} ${where}, not at ${expected}; look again`, metadata)
}

function emitMove(
  em: EntityManager,
  context: HandlerContext,
  { model, reason }: Moves,
  { name, from, to }: Move,
): void {
  const resource = {
    type: 'alias',
    id: aliasId(model.id, name),
    namespace: model.namespace,
    name: `${model.namespace}/${model.name}@${name}`,
    digest: to?.digest ?? '',
  }
  emit(em, context, {
    type: to ? 'alias.moved.v1' : 'alias.removed.v1',
    resource,
    reason,
    beforeDigest: from?.digest ?? '',
    afterDigest: to?.digest ?? '',
    details: { from: from?.number ?? 0, to: to?.number ?? 0, model_id: model.id },
  })
}
