// Moving aliases under the model's lock: compared with what the caller saw, then all or none.
import type { HandlerContext } from '@connectrpc/connect'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import { accessOf, failPermission, holds } from '#lib/access/caller.ts'
import { fail, failField } from '#lib/errors/errors.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import type { Target } from '../domain/alias-targets.ts'
import {
  aliasId,
  findAliases,
  findTargets,
  nextMoveTime,
  recordMove,
  type AliasRow,
} from '../store/aliases/alias-rows.ts'
import { findGatesOver, isGuarded, shareGates, type GateRow } from '../store/governance/gate-rows.ts'
import type { Model } from '../store/models/model.ts'
import { failNoVersion } from './checks.ts'
import { voidPromotions } from './promotion-ends.ts'

export interface Moves {
  model: Model
  targets: Target[]
  reason: string
  /** The promotion that was found to meet its gates. */
  promotionId?: string
  /** Past all gates. */
  breakGlass?: boolean
}

interface Move {
  name: string
  from: AliasRow | undefined
  to: { number: number; id: string; digest: string } | undefined
}

interface GuardedMove extends Move {
  /** The gates that it goes past. */
  past: GateRow[]
}

/** An alias that is where it shall be stays untouched, without a move or an event. */
export async function moveAliases(em: EntityManager, context: HandlerContext, asked: Moves): Promise<void> {
  const { model, targets, reason } = asked
  const planned = (await plan(em, model, targets)).filter(({ from, to }) => from?.number !== to?.number)
  if (planned.length === 0) return
  const { moves, guarded } = await guard(em, context, asked, planned)
  const time = await nextMoveTime(em, model.id)
  const mover = accessOf(context).caller.principal
  for (const move of moves) {
    const { name, from, to } = move
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
      promotionId: asked.promotionId,
      forced: move.past.length > 0,
    })
    emitMove(em, context, asked, move)
  }
  if (guarded.length === 0) return
  const bound = { modelId: model.id, aliases: guarded }
  await voidPromotions(em, context, bound, { because: 'ALIAS_MOVED', except: asked.promotionId })
}

/** Lets no move pass a gate but one by a promotion, or of an admin who breaks the glass. */
async function guard(
  em: EntityManager,
  context: HandlerContext,
  asked: Moves,
  planned: Move[],
): Promise<{ moves: GuardedMove[]; guarded: string[] }> {
  if (asked.promotionId !== undefined) {
    // Its gates are held, and have been met.
    return { moves: planned.map((move) => ({ ...move, past: [] })), guarded: planned.map(({ name }) => name) }
  }
  const { namespace, id } = asked.model
  await shareGates(em, namespace)
  const gates = await findGatesOver(em, namespace, id)
  const found = planned.map((move) => ({
    ...move,
    past: gates.filter(({ rules }) => isGuarded(move.name, rules)),
  }))
  const guarded = found.filter(({ past }) => past.length > 0)
  if (guarded[0] && !asked.breakGlass) failGated(guarded[0])
  if (guarded[0]) requireBreakGlass(context, asked)
  return { moves: found, guarded: guarded.map(({ name }) => name) }
}

function failGated({ name, past }: GuardedMove): never {
  const gates = past.map((gate) => gate.name).join(', ')
  fail('ALIAS_GATED', `alias "${name}" is guarded by gates: ${gates}; request a promotion`, { alias: name, gates })
}

function requireBreakGlass(context: HandlerContext, { model, reason }: Moves): void {
  const { namespace } = model
  const { caller } = accessOf(context)
  if (!holds(caller, Permission.ADMINISTER, namespace)) failPermission(Permission.ADMINISTER, namespace)
  if (reason.trim() === '') failField('reason', 'is required with break_glass')
}

async function plan(em: EntityManager, model: Model, targets: Target[]): Promise<Move[]> {
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
      fail('ALIAS_NOT_FOUND', `alias "${name}" not found in model "${model.namespace}/${model.name}"`, { alias: name })
    }
    if ((from?.number ?? 0) !== expected) failMoved(name, expected, from?.number ?? 0)
    if (number === undefined) return { name, from, to: undefined }
    const version = versions.get(number)
    if (!version) failNoVersion({ namespace: model.namespace, model: model.name, number })
    return { name, from, to: { number, ...version } }
  })
}

export function failMoved(alias: string, expected: number, current: number): never {
  const where = current === 0 ? 'does not exist' : `points at version ${current}`
  const metadata = { alias, expected: String(expected), current: String(current) }
  fail(
    'ALIAS_MOVED',
    `alias "${alias}" ${where}, but expected_number is ${expected}; read the alias and retry`,
    metadata,
  )
}

function emitMove(
  em: EntityManager,
  context: HandlerContext,
  { model, reason, promotionId }: Moves,
  { name, from, to, past }: GuardedMove,
): void {
  const resource = {
    type: 'alias',
    id: aliasId(model.id, name),
    namespace: model.namespace,
    name: `${model.namespace}/${model.name}@${name}`,
    digest: to?.digest ?? '',
  }
  const forced = past.length > 0 && { gates: past.map(({ id, revision }) => ({ id, revision })) }
  emit(em, context, {
    type: forced ? 'alias.forced.v1' : to ? 'alias.moved.v1' : 'alias.removed.v1',
    resource,
    reason,
    beforeDigest: from?.digest ?? '',
    afterDigest: to?.digest ?? '',
    details: {
      from: from?.number ?? 0,
      to: to?.number ?? 0,
      model_id: model.id,
      ...(promotionId !== undefined && { promotion_id: promotionId }),
      ...forced,
    },
  })
}
