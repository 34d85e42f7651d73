import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  RollbackAliasRequestSchema,
  RollbackAliasResponseSchema,
  type RollbackAliasRequest,
} from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseAliasName, parseNumber } from '../../domain/names.ts'
import { parseModelRef } from '../../domain/refs.ts'
import { parseReason } from '../../domain/text.ts'
import { AliasMove } from '../../store/aliases/alias.ts'
import type { Model } from '../../store/models/model.ts'
import { moveAliases } from '../../changes/alias-moves.ts'
import { authorizeModel, requireActive, requireModelLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentAlias } from './present-alias.ts'
import { settleChange } from '../../changes/settle-change.ts'

export async function rollbackAlias(deps: RegistryDeps, request: RollbackAliasRequest, context: HandlerContext) {
  const key = parseModelRef(request.model, 'model')
  const name = parseAliasName(request.name, 'name')
  const expected = parseNumber(request.expectedNumber, 'expected_number')
  const reason = parseReason(request.reason)
  await authorizeModel(forkFor(deps.database, context.signal), context, key)
  const once = { context, request, input: RollbackAliasRequestSchema, output: RollbackAliasResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const model = await requireModelLock(em, key)
    requireActive(model)
    const number = await findPrevious(em, model, name, expected)
    const targets = [{ name, number, expected }]
    const present = await moveAliases(em, context, { model, targets, reason, breakGlass: request.breakGlass })
    return create(RollbackAliasResponseSchema, { alias: presentAlias(present.get(name)!, model) })
  })
  await settleChange(deps.relay, context)
  return answer
}

/** Returns the number that the alias pointed at before its last move. */
async function findPrevious(em: EntityManager, model: Model, name: string, expected: number): Promise<number> {
  const last = await em.findOne(AliasMove, { modelId: model.id, name }, { orderBy: { moveTime: 'desc', id: 'desc' } })
  if (!last || last.toNumber === 0) {
    fail('ALIAS_NOT_FOUND', `alias "${name}" not found in model "${model.namespace}/${model.name}"`, { alias: name })
  }
  if (last.toNumber === expected && last.fromNumber === 0) {
    const version = `${model.namespace}/${model.name}@${name}`
    fail('VERSION_NOT_FOUND', `version "${version}" not found; the alias did not exist before its last move`, {
      version,
    })
  }
  // `moveAliases` compares the expected number, and so detects a move since the caller read the alias.
  return last.fromNumber || expected
}
