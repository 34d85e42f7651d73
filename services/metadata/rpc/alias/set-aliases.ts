import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  SetAliasesRequestSchema,
  SetAliasesResponseSchema,
  type SetAliasesRequest,
} from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { forkFor } from '#lib/store/database.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseTargets } from '../../domain/alias-targets.ts'
import { parseModelRef } from '../../domain/refs.ts'
import { parseReason } from '../../domain/text.ts'
import { moveAliases } from '../../changes/alias-moves.ts'
import { authorizeModel, requireActive, requireModelHeadLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentAlias } from './present-alias.ts'
import { settleChange } from '../../changes/settle-change.ts'

export async function setAliases(deps: RegistryDeps, request: SetAliasesRequest, context: HandlerContext) {
  const key = parseModelRef(request.model, 'model')
  const targets = parseTargets(request.targets)
  const reason = parseReason(request.reason)
  await authorizeModel(forkFor(deps.database, context.signal), context, key)
  const once = { context, request, input: SetAliasesRequestSchema, output: SetAliasesResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const model = await requireModelHeadLock(em, key)
    requireActive(model)
    const present = await moveAliases(em, context, { model, targets, reason, breakGlass: request.breakGlass })
    const rows = targets.flatMap(({ name }) => present.get(name) ?? [])
    return create(SetAliasesResponseSchema, { aliases: rows.map((row) => presentAlias(row, model)) })
  })
  await settleChange(deps.relay, context)
  return answer
}
