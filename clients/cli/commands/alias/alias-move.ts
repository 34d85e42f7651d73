// Moves an alias by compare-and-set: its current version is read first, and sent along.
import type { Alias } from '#gen/modelkeep/metadata/v1/alias_pb.ts'
import { AliasService } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import { ConnectError } from '@connectrpc/connect'
import { randomUUID } from 'node:crypto'
import { CliError } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { modelRef } from '../../arguments/refs.ts'
import { unary } from '../../connection/registry.ts'

export interface AliasName {
  namespace: string
  model: string
  alias: string
}

export interface Move {
  reason: string
  /** The version that it must point at now, 0 for none; undefined for whatever it points at. */
  expected?: number
  /** Whether to bypass the gates of the alias. */
  breakGlass?: boolean
}

/** Returns the version number that the alias points at; 0 if it does not exist. */
export async function currentNumber(context: Context, { namespace, model, alias }: AliasName): Promise<number> {
  const registry = context.registry()
  const request = { model: modelRef(namespace, model) }
  const found = await registry.metadata(ModelService).getModel(request, unary(registry))
  return found.model?.aliases.find(({ name }) => name === alias)?.number ?? 0
}

export interface Moved {
  name: string
  from: number
  to: number
  /** False if it already pointed at the version. */
  changed: boolean
  alias?: Alias
}

export async function moveAlias(context: Context, name: AliasName, number: number, move: Move): Promise<Moved> {
  const registry = context.registry()
  const from = move.expected ?? (await currentNumber(context, name))
  const moved = { name: name.alias, from, to: number }
  if (from === number && move.expected === undefined) return { ...moved, changed: false }
  try {
    const { aliases } = await registry.metadata(AliasService).setAliases(
      {
        model: modelRef(name.namespace, name.model),
        targets: [{ name: name.alias, target: { case: 'number', value: number }, expectedNumber: from }],
        reason: move.reason,
        breakGlass: move.breakGlass ?? false,
        requestId: randomUUID(),
      },
      unary(registry),
    )
    return { ...moved, changed: true, ...(aliases[0] && { alias: aliases[0] }) }
  } catch (error) {
    throw await explainMoved(context, name, error)
  }
}

/** Adds to an ALIAS_MOVED error who moved the alias; returns other errors unchanged. */
export async function explainMoved(context: Context, name: AliasName, error: unknown): Promise<unknown> {
  const answer = reasonOf(error)
  if (answer?.reason !== 'ALIAS_MOVED') return error
  const registry = context.registry()
  const request = { model: modelRef(name.namespace, name.model), name: name.alias, pageSize: 1 }
  const moves = await registry
    .metadata(AliasService)
    .listAliasMoves(request, unary(registry))
    .catch(() => undefined)
  const last = moves?.moves[0]
  const now = Number(answer.metadata['current'] ?? 0)
  const where = now === 0 ? 'does not exist' : `points at version ${now}`
  const who = last ? `: ${last.mover} moved it${last.reason ? ` ("${last.reason}")` : ''}` : ''
  const message = `${name.namespace}/${name.model}@${name.alias} now ${where}${who}`
  const hint = `Expected version ${answer.metadata['expected'] ?? '?'}. Check the history and decide again: modelkeep alias history ${name.model}@${name.alias}`
  return new CliError('conflict', message, { hint, reason: 'ALIAS_MOVED', cause: ConnectError.from(error) })
}
