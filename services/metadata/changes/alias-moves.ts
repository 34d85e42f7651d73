// Moves of aliases, under the lock of the model: they are compared with what the caller expects, then all are made or
// none.
import type { HandlerContext } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import { accessOf, failPermission, holds } from '#lib/access/caller.ts'
import { fail, failField } from '#lib/errors/errors.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { outboxRow, type EventInit } from '#lib/store/outbox.ts'
import type { Target } from '../domain/alias-targets.ts'
import { aliasId } from '../store/aliases/alias.ts'
import { findMoveTargets, recordMoves, type AliasTarget, type VersionTarget } from '../store/aliases/record-moves.ts'
import { rulesOf } from '../domain/governance/gate-rules.ts'
import { findGatesOfModel, isGuarded } from '../store/governance/find-gates.ts'
import type { Gate } from '../store/governance/gate.ts'
import type { ModelHead } from '../store/models/find-model.ts'
import { lockNamespaceShared } from '../store/models/namespace.ts'
import { failNoVersion } from './checks.ts'
import { voidPromotions } from './void-promotions.ts'

export interface Moves {
  model: ModelHead
  targets: Target[]
  reason: string
  /** The id of an approved promotion. Its presence means that the gates of the alias are met. */
  promotionId?: string
  /** Whether an administrator bypasses all gates. */
  breakGlass?: boolean
}

interface Move {
  name: string
  /** The previous target of the alias; the number is 0 when it did not exist. */
  from: { number: number; digest: string }
  /** Undefined when the alias is removed. */
  to: VersionTarget | undefined
}

interface GuardedMove extends Move {
  /** The gates that the move bypasses. */
  bypassed: Gate[]
}

/** Makes the moves. An alias that already points at its target stays unchanged, without a move or an event. Returns the
 * named aliases that exist after the moves, by name. */
export async function moveAliases(
  em: EntityManager,
  context: HandlerContext,
  request: Moves,
): Promise<Map<string, AliasTarget>> {
  const { model, targets } = request
  const names = targets.map(({ name }) => name)
  const numbers = targets.flatMap(({ number }) => number ?? [])
  const { aliases, versions } = await findMoveTargets(em, model.id, names, numbers)
  const planned = plan(request, aliases, versions).filter(({ from, to }) => from.number !== (to?.number ?? 0))
  if (planned.length === 0) return aliases
  const { moves, guarded } = await guard(em, context, request, planned)
  // Earlier events of this transaction come before those of the moves.
  await em.flush()
  const moved = await record(em, context, request, moves)
  if (guarded.length > 0) {
    const filter = { modelId: model.id, alias: guarded }
    await voidPromotions(em, context, filter, { because: 'ALIAS_MOVED', except: request.promotionId })
  }
  for (const { name } of moves) aliases.delete(name)
  return new Map([...aliases, ...moved])
}

function plan(
  { model, targets }: Moves,
  aliases: Map<string, AliasTarget>,
  versions: Map<number, VersionTarget>,
): Move[] {
  return targets.map(({ name, number, expected }) => {
    const alias = aliases.get(name)
    if (number === undefined && !alias) {
      fail('ALIAS_NOT_FOUND', `alias "${name}" not found in model "${model.namespace}/${model.name}"`, { alias: name })
    }
    const from = { number: alias?.number ?? 0, digest: alias?.digest ?? '' }
    if (from.number !== expected) failAliasMoved(name, expected, from.number)
    if (number === undefined) return { name, from, to: undefined }
    const to = versions.get(number)
    if (!to) failNoVersion({ namespace: model.namespace, model: model.name, number })
    return { name, from, to }
  })
}

export function failAliasMoved(alias: string, expected: number, current: number): never {
  const where = current === 0 ? 'does not exist' : `points at version ${current}`
  const metadata = { alias, expected: String(expected), current: String(current) }
  fail(
    'ALIAS_MOVED',
    `alias "${alias}" ${where}, but expected_number is ${expected}; read the alias and retry`,
    metadata,
  )
}

/** Fails when a gate guards one of the moves, unless a promotion meets it or an administrator bypasses it. */
async function guard(
  em: EntityManager,
  context: HandlerContext,
  request: Moves,
  planned: Move[],
): Promise<{ moves: GuardedMove[]; guarded: string[] }> {
  if (request.promotionId !== undefined) {
    // The caller has locked the gates, and the promotion meets them.
    return { moves: planned.map((move) => ({ ...move, bypassed: [] })), guarded: planned.map(({ name }) => name) }
  }
  const { namespace, id } = request.model
  await lockNamespaceShared(em, namespace)
  const gates = (await findGatesOfModel(em, namespace, id)).map((gate) => ({ gate, rules: rulesOf(gate) }))
  const found = planned.map((move) => ({
    ...move,
    bypassed: gates.filter(({ rules }) => isGuarded(move.name, rules)).map(({ gate }) => gate),
  }))
  const guarded = found.filter(({ bypassed }) => bypassed.length > 0)
  if (guarded[0] && !request.breakGlass) failAliasGated(guarded[0])
  if (guarded[0]) requireBreakGlass(context, request)
  return { moves: found, guarded: guarded.map(({ name }) => name) }
}

function failAliasGated({ name, bypassed }: GuardedMove): never {
  const gates = bypassed.map((gate) => gate.name).join(', ')
  fail('ALIAS_GATED', `alias "${name}" is guarded by gates: ${gates}; request a promotion`, { alias: name, gates })
}

function requireBreakGlass(context: HandlerContext, { model, reason }: Moves): void {
  const { namespace } = model
  const { caller } = accessOf(context)
  if (!holds(caller, Permission.ADMINISTER, namespace)) failPermission(Permission.ADMINISTER, namespace)
  if (reason.trim() === '') failField('reason', 'is required with break_glass')
}

/** Stores the moves and the new targets of the aliases. Returns the aliases that exist now, by name. */
async function record(
  em: EntityManager,
  context: HandlerContext,
  request: Moves,
  moves: GuardedMove[],
): Promise<Map<string, AliasTarget>> {
  const { model, reason, promotionId } = request
  const mover = accessOf(context).caller.principal
  const moveTime = await recordMoves(em, {
    modelId: model.id,
    mover,
    reason,
    promotionId: promotionId ?? null,
    moves: moves.map(({ name, from, to, bypassed }) => ({
      id: uuidv7(),
      aliasId: aliasId(model.id, name),
      name,
      fromNumber: from.number,
      toNumber: to?.number ?? 0,
      versionId: to?.id ?? null,
      forced: bypassed.length > 0,
    })),
    events: moves.map((move) => outboxRow(context, describeMove(request, move))),
  })
  return new Map(
    moves.flatMap(({ name, to }) =>
      to ? [[name, { name, number: to.number, version: to.id, digest: to.digest, mover, moveTime, reason }]] : [],
    ),
  )
}

function describeMove({ model, reason, promotionId }: Moves, { name, from, to, bypassed }: GuardedMove): EventInit {
  const resource = {
    type: 'alias',
    id: aliasId(model.id, name),
    namespace: model.namespace,
    name: `${model.namespace}/${model.name}@${name}`,
    digest: to?.digest ?? '',
  }
  const forced = bypassed.length > 0 && { gates: bypassed.map(({ id, revision }) => ({ id, revision })) }
  return {
    type: forced ? 'alias.forced.v1' : to ? 'alias.moved.v1' : 'alias.removed.v1',
    resource,
    reason,
    beforeDigest: from.digest,
    afterDigest: to?.digest ?? '',
    details: {
      from: from.number,
      to: to?.number ?? 0,
      model_id: model.id,
      ...(promotionId !== undefined && { promotion_id: promotionId }),
      ...forced,
    },
  }
}
