import { create } from '@bufbuild/protobuf'
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect'
import {
  RollbackAliasRequestSchema,
  RollbackAliasResponseSchema,
  SetAliasesRequestSchema,
  SetAliasesResponseSchema,
  type AliasService,
  type ListAliasesRequest,
  type ListAliasMovesRequest,
  type RollbackAliasRequest,
  type SetAliasesRequest,
} from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { fail } from '#lib/errors/errors.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseTargets } from '../../domain/alias-targets.ts'
import { parseAliasName, parseNumber } from '../../domain/names.ts'
import { parseModelRef } from '../../domain/refs.ts'
import { parseReason } from '../../domain/text.ts'
import { findAliases, listAliases as selectAliases, listMoves } from '../../store/aliases/alias-rows.ts'
import { findModel, type ModelRow } from '../../store/models/model-rows.ts'
import { moveAliases } from '../../changes/alias-moves.ts'
import { authorizeModel, failNoModel, requireActive, requireModelLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { checkKeys, isIdKey, isTextKey, isTimeKey } from '../page-keys.ts'
import { presentAlias, presentMove } from '../present.ts'
import { settleChange } from '../../changes/settle-change.ts'

export function aliasRoutes(deps: RegistryDeps): ServiceImpl<typeof AliasService> {
  return {
    setAliases: (request, context) => setAliases(deps, request, context),
    rollbackAlias: (request, context) => rollbackAlias(deps, request, context),
    listAliases: (request, context) => listAliases(deps, request, context),
    listAliasMoves: (request, context) => listAliasMoves(deps, request, context),
  }
}

async function setAliases(deps: RegistryDeps, request: SetAliasesRequest, context: HandlerContext) {
  const key = parseModelRef(request.model, 'model')
  const targets = parseTargets(request.targets)
  const reason = parseReason(request.reason)
  await authorizeModel(forkFor(deps.database, context.signal), context, key)
  const once = { context, request, input: SetAliasesRequestSchema, output: SetAliasesResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const model = await requireModelLock(em, key)
    requireActive(model)
    await moveAliases(em, context, { model, targets, reason, breakGlass: request.breakGlass })
    const present = await findAliases(
      em,
      model.id,
      targets.map(({ name }) => name),
    )
    const rows = targets.flatMap(({ name }) => present.get(name) ?? [])
    return create(SetAliasesResponseSchema, { aliases: rows.map((row) => presentAlias(row, model)) })
  })
  await settleChange(deps.relay, context)
  return answer
}

async function rollbackAlias(deps: RegistryDeps, request: RollbackAliasRequest, context: HandlerContext) {
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
    await moveAliases(em, context, { model, targets, reason, breakGlass: request.breakGlass })
    const row = (await findAliases(em, model.id, [name])).get(name)!
    return create(RollbackAliasResponseSchema, { alias: presentAlias(row, model) })
  })
  await settleChange(deps.relay, context)
  return answer
}

/** Where the alias pointed before its last move. */
async function findPrevious(em: EntityManager, model: ModelRow, name: string, expected: number): Promise<number> {
  const [last] = await listMoves(em, { modelId: model.id, name, after: undefined, limit: 1 })
  if (!last || last.to_number === 0) {
    fail('ALIAS_NOT_FOUND', `alias "${name}" not found in model "${model.namespace}/${model.name}"`, { alias: name })
  }
  if (last.to_number === expected && last.from_number === 0) {
    const version = `${model.namespace}/${model.name}@${name}`
    fail('VERSION_NOT_FOUND', `version "${version}" not found; the alias did not exist before its last move`, {
      version,
    })
  }
  // A move since the caller's look is found out where all moves are compared.
  return last.from_number || expected
}

async function listAliases({ database }: RegistryDeps, request: ListAliasesRequest, context: HandlerContext) {
  const em = forkFor(database, context.signal)
  const model = await findReadable(em, request.model, context)
  const page = checkKeys(parsePage(request, ['ListAliases', model.id], ['string']), [isTextKey])
  const found = await selectAliases(em, model.id, { after: String(page.after?.[0] ?? ''), limit: page.size + 1 })
  const { rows, nextPageToken } = cutPage(found, page, ({ name }) => [name])
  return { aliases: rows.map((row) => presentAlias(row, model)), nextPageToken }
}

async function listAliasMoves({ database }: RegistryDeps, request: ListAliasMovesRequest, context: HandlerContext) {
  const name = request.name === '' ? '' : parseAliasName(request.name, 'name')
  const em = forkFor(database, context.signal)
  const model = await findReadable(em, request.model, context)
  const asked = parsePage(request, ['ListAliasMoves', model.id, name], ['string', 'string'])
  const page = checkKeys(asked, [isTimeKey, isIdKey])
  const after = page.after && ([String(page.after[0]), String(page.after[1])] satisfies [string, string])
  const found = await listMoves(em, { modelId: model.id, name, after, limit: page.size + 1 })
  const { rows, nextPageToken } = cutPage(found, page, (row) => [row.move_time, row.id])
  return { moves: rows.map(presentMove), nextPageToken }
}

async function findReadable(
  em: EntityManager,
  ref: ListAliasesRequest['model'],
  context: HandlerContext,
): Promise<ModelRow> {
  const key = parseModelRef(ref, 'model')
  await authorizeModel(em, context, key)
  return (await findModel(em, key)) ?? failNoModel(key)
}
